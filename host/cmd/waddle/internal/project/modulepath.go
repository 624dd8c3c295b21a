package project

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

var (
	modulePattern = regexp.MustCompile(`^[A-Za-z0-9_~][A-Za-z0-9._~-]*(/[A-Za-z0-9_~][A-Za-z0-9._~-]*)*$`)

	// windowsNames are device names, which no path may contain. shortNames are
	// names that Windows makes up for long ones.
	windowsNames = regexp.MustCompile(`(?i)^(con|prn|aux|nul|com[1-9]|lpt[1-9])(\..*)?$`)
	shortNames   = regexp.MustCompile(`~[0-9]+$`)

	// firstVersions are versions that a path must not end in.
	firstVersions = regexp.MustCompile(`/v([01]|0[0-9]*)$`)
)

// goWords mean something else to the go command in place of the path of a module or
// a package.
var goWords = []string{"all", "cmd", "go", "std", "tool", "toolchain", "work"}

// goPackages are the first elements of paths in the standard library, which take
// precedence in the go command.
var goPackages = []string{"archive", "bufio", "builtin", "bytes", "cmp", "compress", "container", "context", "crypto", "database",
	"debug", "embed", "encoding", "errors", "expvar", "flag", "fmt", "hash", "html", "image", "index", "io", "iter", "log",
	"maps", "math", "mime", "net", "os", "path", "plugin", "reflect", "regexp", "runtime", "slices", "sort", "strconv", "strings",
	"structs", "sync", "syscall", "testing", "text", "time", "unicode", "unique", "unsafe", "weak"}

// checkModule says why the go command would refuse the path of a module.
func checkModule(path string) error {
	if !modulePattern.MatchString(path) {
		return fmt.Errorf("%w: the module path is %q: must be like example.com/me/store", ErrOption, path)
	}
	first, _, _ := strings.Cut(path, "/")
	switch {
	case slices.Contains(goWords, first):
		return fmt.Errorf("%w: the module path is %q, but %q means something to the go command: must be like example.com/me/store", ErrOption, path, first)
	case slices.Contains(goPackages, first):
		return fmt.Errorf("%w: the module path is %q, but %q belongs to Go's standard library: must be like example.com/me/store", ErrOption, path, first)
	case firstVersions.MatchString(path):
		return fmt.Errorf("%w: the module path is %q: must not end in a version below /v2", ErrOption, path)
	}
	for element := range strings.SplitSeq(path, "/") {
		if windowsNames.MatchString(element) || shortNames.MatchString(element) || strings.HasSuffix(element, ".") {
			return fmt.Errorf("%w: the module path is %q: must not contain %q, which cannot name a directory on Windows; Go refuses it everywhere", ErrOption, path, element)
		}
	}
	return nil
}

// moduleOf makes the path of a module from a plugin's name.
func moduleOf(name string) string {
	if checkModule(name) != nil {
		return name + "-store"
	}
	return name
}
