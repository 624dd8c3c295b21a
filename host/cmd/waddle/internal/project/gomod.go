package project

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
)

const (
	waddleModule = "github.com/waddle-sessions/waddle"
	goVersion    = "1.26"
)

// ErrVersion is returned when there is no published version to build against.
var ErrVersion = errors.New("no published version of Waddle")

// goMod makes the go.mod of a Go project.
func goMod(options Options) ([]byte, error) {
	version, replace := "v0.0.0", ""
	if options.Checkout != "" {
		replace = fmt.Sprintf("\nreplace %s => %s\n", waddleModule, quoted(filepath.ToSlash(options.Checkout)))
	} else {
		info, _ := debug.ReadBuildInfo()
		var err error
		if version, err = published(info); err != nil {
			return nil, err
		}
	}
	return fmt.Appendf(nil, "module %s\n\ngo %s\n\nrequire %s %s\n%s", options.Module, goVersion, waddleModule, version, replace), nil
}

// quoted quotes a path for go.mod if necessary.
func quoted(path string) string {
	if strings.ContainsAny(path, " \t\"'`()[]{},;=>") || strings.Contains(path, "//") {
		return strconv.Quote(path)
	}
	return path
}

// pseudo matches the end of a version that the go command makes up for a commit.
var pseudo = regexp.MustCompile(`[-.]\d{14}-[0-9a-f]{12}$`)

// published returns the version of Waddle that a program was built with.
func published(info *debug.BuildInfo) (string, error) {
	version, local := "", false
	if info != nil {
		module := info.Main
		for _, dep := range info.Deps {
			if dep.Path == waddleModule {
				module = *dep
			}
		}
		if module.Path == waddleModule {
			version, local = module.Version, module.Replace != nil
		}
		// A program built within a checkout has a made-up version for a commit that
		// perhaps nobody else has.
		for _, s := range info.Settings {
			local = local || s.Key == "vcs.revision" && module.Path == info.Main.Path && pseudo.MatchString(version)
		}
	}
	switch {
	case local, version == "", version == "(devel)", strings.Contains(version, "+dirty"):
		return "", fmt.Errorf("%w: this program was built from a checkout (version %q): give the path of a checkout to build the project against, "+
			"or install a release with go install %s/host/cmd/waddle@latest", ErrVersion, version, waddleModule)
	}
	return version, nil
}

func checkCheckout(dir string) error {
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return fmt.Errorf("%w: %s is not a checkout of Waddle: %w", ErrOption, dir, err)
	}
	for line := range strings.Lines(string(mod)) {
		if strings.TrimSpace(line) == "module "+waddleModule {
			return nil
		}
	}
	return fmt.Errorf("%w: %s is not a checkout of Waddle: its go.mod is not that of %s", ErrOption, dir, waddleModule)
}
