// Command docs builds the documentation as static pages, from the documents and the
// Go packages of a checkout:
//
//	go run . -root .. -out ../bin/docs
//
// It fails, and names each, if a document links to what does not exist, or if a
// document or package has no place in contents.txt.
package main

import (
	"flag"
	"fmt"
	"os"

	"docs/site"
)

func main() {
	var o site.Options
	flag.StringVar(&o.Root, "root", "..", "the checkout")
	flag.StringVar(&o.Out, "out", "../bin/docs", "where to write the pages; what is there is replaced")
	flag.StringVar(&o.Ref, "ref", "", "the commit or tag that links to sources lead to; by default the one that is checked out")
	flag.StringVar(&o.Results, "results", "results.json", "the results of benchmarks, as make bench writes them")
	flag.Parse()
	built, err := site.Build(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "docs:", err)
		os.Exit(1)
	}
	fmt.Printf("%d pages, %d sections in the search, in %s\n", built.Pages, built.Sections, o.Out)
}
