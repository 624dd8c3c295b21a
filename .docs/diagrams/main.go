// Command diagrams draws the diagrams of the documents from the descriptions beside it:
//
//	go run ./diagrams -root ..
//
// A description names in its first line the picture that is made of it, and in its second
// who takes part, from left to right. Each other line is a message between two of them
// ("a -> b: text", dashed with "-->"), what one of them does ("a: text"), or a heading
// ("== text"). A bar in a text breaks its line.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	root := flag.String("root", "..", "the checkout")
	flag.Parse()
	if err := drawAll(*root, "diagrams", os.WriteFile); err != nil {
		fmt.Fprintln(os.Stderr, "diagrams:", err)
		os.Exit(1)
	}
}

// drawAll draws each description in a directory.
func drawAll(root, dir string, write func(name string, data []byte, mode os.FileMode) error) error {
	names, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil {
		return err
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		d, err := parse(string(text))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := write(filepath.Join(root, filepath.FromSlash(d.file)), d.svg(), 0o644); err != nil {
			return err
		}
	}
	return nil
}
