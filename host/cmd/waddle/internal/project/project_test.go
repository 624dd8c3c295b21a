package project_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/project"
)

const root = "../../../../../"

func options(language string) project.Options {
	if language == "go" {
		return project.Options{Checkout: root}
	}
	return project.Options{}
}

// tree returns the files under a directory as Write names them.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	require.NoError(t, filepath.WalkDir(dir, func(name string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			relative, _ := filepath.Rel(dir, name)
			names = append(names, filepath.ToSlash(relative))
		}
		return err
	}))
	slices.Sort(names)
	return names
}

func contents(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	for _, name := range tree(t, dir) {
		content, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		fmt.Fprintf(&all, "== %s\n%s", name, content)
	}
	return all.String()
}

func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	files, err := project.Write(filepath.Join(dir, "shelf"), "c", project.Options{})
	fmt.Println(files, err)
	for _, l := range project.Languages() {
		fmt.Printf("%s: %s\n", l.Title, l.Build)
	}
	// Output:
	// [Makefile README.md store.c waddle.h] <nil>
	// AssemblyScript: npm install && npm run build
	// C: make
	// Go: go mod tidy && make
	// Rust: make
	// Zig: make
}

func TestWrite(t *testing.T) {
	for _, l := range project.Languages() {
		t.Run(l.Name, func(t *testing.T) {
			parent := t.TempDir()
			dir := filepath.Join(parent, "deep", "My Store")
			files, err := project.Write(dir, l.Name, options(l.Name))
			require.NoError(t, err)
			require.Equal(t, tree(t, dir), files)
			require.Contains(t, files, "README.md")
			require.Contains(t, files, "Makefile")
			text := contents(t, dir)
			require.NotContains(t, text, "example-store")
			require.GreaterOrEqual(t, strings.Count(text, "my-store"), 2, "in the heading and in the description at least")
			entries, err := os.ReadDir(filepath.Dir(dir))
			require.NoError(t, err)
			require.Len(t, entries, 1, "nothing else is left beside the project")
			if runtime.GOOS != "windows" {
				info, err := os.Stat(dir)
				require.NoError(t, err)
				require.NotZero(t, info.Mode().Perm()&0o055, "a directory like any other: %v", info.Mode())
			}

			_, err = project.Write(dir, l.Name, options(l.Name))
			require.ErrorIs(t, err, project.ErrNotEmpty)
			require.Equal(t, text, contents(t, dir), "existing files stay unchanged")
		})
	}
}

func TestWriteIntoAnEmptyDirectory(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	files, err := project.Write(".", "rust", project.Options{Name: "shelf"})
	require.NoError(t, err)
	require.Equal(t, tree(t, "."), files, "the directory is kept, with nothing else in it")
	require.Contains(t, contents(t, dir), `name = "shelf"`)
}

func TestWriteToPlacesThatAreTaken(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"d", "b", "a", ".c", "e"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	before := contents(t, dir)
	_, err := project.Write(dir, "c", project.Options{})
	require.ErrorIs(t, err, project.ErrNotEmpty)
	require.ErrorContains(t, err, "has .c, a, b and 2 more")

	_, err = project.Write(filepath.Join(dir, "a"), "c", project.Options{})
	require.ErrorIs(t, err, project.ErrNotEmpty)
	require.ErrorContains(t, err, "is a file")

	_, err = project.Write(filepath.Join(dir, "a", "below"), "c", project.Options{})
	require.Error(t, err)
	require.Equal(t, before, contents(t, dir))
}

func TestOptions(t *testing.T) {
	for name, c := range map[string]struct {
		language string
		options  project.Options
		err      error
		says     string
	}{
		"no such language":     {"cobol", project.Options{}, project.ErrLanguage, `"cobol": must be one of assemblyscript, c, go, rust, zig`},
		"no language":          {"", project.Options{}, project.ErrLanguage, "must be one of"},
		"a name in capitals":   {"c", project.Options{Name: "Shelf"}, project.ErrOption, `"Shelf"`},
		"a name with a quote":  {"c", project.Options{Name: `a"b`}, project.ErrOption, "lower-case"},
		"a name with a hyphen": {"c", project.Options{Name: "a-"}, project.ErrOption, "hyphen"},
		"a long name":          {"c", project.Options{Name: strings.Repeat("a", 61)}, project.ErrOption, "60"},
		"a module for C":       {"c", project.Options{Module: "example.com/a"}, project.ErrOption, "for Go"},
		"a checkout for Zig":   {"zig", project.Options{Checkout: root}, project.ErrOption, "for Go"},
		"a bad module":         {"go", project.Options{Module: "a b", Checkout: root}, project.ErrOption, "example.com/me"},
		"a module from a path": {"go", project.Options{Module: "../a", Checkout: root}, project.ErrOption, "example.com/me"},
		"a module of two":      {"go", project.Options{Module: "a\nreplace x => y", Checkout: root}, project.ErrOption, "example.com/me"},
		"no checkout there":    {"go", project.Options{Checkout: root + "nothing"}, project.ErrOption, "not a checkout"},
		"another checkout":     {"go", project.Options{Checkout: root + "examples"}, project.ErrOption, "not that of github.com/waddle-sessions/waddle"},
		"a test's own version": {"go", project.Options{}, project.ErrVersion, "checkout"},
	} {
		t.Run(name, func(t *testing.T) {
			parent := t.TempDir()
			_, err := project.Write(filepath.Join(parent, "new"), c.language, c.options)
			require.ErrorIs(t, err, c.err)
			require.ErrorContains(t, err, c.says)
			entries, err := os.ReadDir(parent)
			require.NoError(t, err)
			require.Empty(t, entries, "an error leaves no files")
		})
	}
}

func TestLanguagesAreTheCallers(t *testing.T) {
	project.Languages()[0].Name = "changed"
	require.NotEqual(t, "changed", project.Languages()[0].Name)
}
