// Command cross does what "go vet ./..." does, for each of the given systems, such as
// linux/arm64. The go command compiles all dependencies for a system before it vets
// for it, the standard library included, which takes a minute of a processor for each.
// This command reads types from the sources instead.
package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/checker"
	"golang.org/x/tools/go/analysis/suite/vet"
	"golang.org/x/tools/go/packages"
)

func main() {
	failed := false
	for _, platform := range os.Args[1:] {
		fmt.Printf("== %s\n", platform)
		found, err := check(".", platform)
		if err != nil {
			found = append(found, err.Error())
		}
		for _, f := range found {
			fmt.Println(f)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}

// analyzers are those of "go vet" in Go 1.26, which this one came after.
var analyzers = slices.DeleteFunc(slices.Clone(vet.Suite), func(a *analysis.Analyzer) bool { return a.Name == "scannererr" })

// check returns what is wrong with the packages of a module, tests included, on a
// platform.
func check(dir, platform string) (found []string, err error) {
	system, processor, ok := strings.Cut(platform, "/")
	if !ok {
		return nil, fmt.Errorf("the platform is %q: must be SYSTEM/PROCESSOR", platform)
	}
	loaded, err := packages.Load(&packages.Config{
		Mode:  packages.LoadAllSyntax | packages.NeedModule,
		Dir:   dir,
		Tests: true,
		Env:   append(os.Environ(), "GOOS="+system, "GOARCH="+processor, "CGO_ENABLED=0"),
	}, "./...")
	if err != nil {
		return nil, err
	}
	packages.Visit(loaded, nil, func(p *packages.Package) {
		for _, e := range p.Errors {
			found = append(found, e.Error())
		}
	})
	if len(found) > 0 { // what follows from these
		return found, nil
	}
	graph, err := checker.Analyze(analyzers, loaded, nil)
	if err != nil {
		return nil, err
	}
	seen := make(map[string]bool) // a file is in a package and in that of its tests
	for _, action := range graph.Roots {
		if action.Err != nil {
			return nil, action.Err
		}
		for _, d := range action.Diagnostics {
			text := fmt.Sprintf("%s: %s", action.Package.Fset.Position(d.Pos), d.Message)
			if !seen[text] {
				seen[text] = true
				found = append(found, text)
			}
		}
	}
	return found, nil
}
