package project

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

var (
	modulePattern = regexp.MustCompile(`^[A-Za-z0-9_~][A-Za-z0-9._~-]*(/[A-Za-z0-9_~][A-Za-z0-9._~-]*)*$`)

	// windowsNames are those of devices, which no path may have, and shortNames are
	// those that Windows makes up for long ones.
	windowsNames = regexp.MustCompile(`(?i)^(con|prn|aux|nul|com[1-9]|lpt[1-9])(\..*)?$`)
	shortNames   = regexp.MustCompile(`~[0-9]+$`)

	// firstVersions are those that a path does not say.
	firstVersions = regexp.MustCompile(`/v([01]|0[0-9]*)$`)
)

// goWords mean something else to the go command where a path of a module or a
// package is asked for.
var goWords = []string{"all", "cmd", "go", "std", "tool", "toolchain", "work"}

// goPackages are the first elements of the paths of the standard library, which
// the go command takes before any other.
var goPackages = []string{"archive", "bufio", "builtin", "bytes", "cmp", "compress", "container", "context", "crypto", "database",
	"debug", "embed", "encoding", "errors", "expvar", "flag", "fmt", "hash", "html", "image", "index", "io", "iter", "log",
	"maps", "math", "mime", "net", "os", "path", "plugin", "reflect", "regexp", "runtime", "slices", "sort", "strconv", "strings",
	"structs", "sync", "syscall", "testing", "text", "time", "unicode", "unique", "unsafe", "weak"}

// checkModule says why the go command would refuse the path of a module.
func checkModule(path string) error {
	if !modulePattern.MatchString(path) {
		return fmt.Errorf("%w: the module path %q: it should look like example.com/me/store", ErrOption, path)
	}
	first, _, _ := strings.Cut(path, "/")
	switch {
	case slices.Contains(goWords, first):
		return fmt.Errorf("%w: the module path %q: the go command has a meaning of its own for %q; choose one like example.com/me/store", ErrOption, path, first)
	case slices.Contains(goPackages, first):
		return fmt.Errorf("%w: the module path %q: %q belongs to Go's standard library; choose one like example.com/me/store", ErrOption, path, first)
	case firstVersions.MatchString(path):
		return fmt.Errorf("%w: the module path %q: a path ends in its version only from /v2 on", ErrOption, path)
	}
	for element := range strings.SplitSeq(path, "/") {
		if windowsNames.MatchString(element) || shortNames.MatchString(element) || strings.HasSuffix(element, ".") {
			return fmt.Errorf("%w: the module path %q: %q cannot be the name of a directory on Windows, and Go refuses it everywhere", ErrOption, path, element)
		}
	}
	return nil
}

// moduleOf makes the path of a module of a plugin's name.
func moduleOf(name string) string {
	if checkModule(name) != nil {
		return name + "-store"
	}
	return name
}
