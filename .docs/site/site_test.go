package site

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The anchors are those that GitHub gives the same headings.
func TestAnchors(t *testing.T) {
	names := anchors{}
	for _, c := range []struct{ heading, want string }{
		{"In your server", "in-your-server"},
		{"Why integers only, and one crossing per operation?", "why-integers-only-and-one-crossing-per-operation"},
		{"12. Shards and files", "12-shards-and-files"},
		{"waddle_v1: log", "waddle_v1-log"},
		{"Größe", "größe"},
		{"A – B", "a--b"},
		{"Again", "again"},
		{"Again", "again-1"},
		{"Again-1", "again-1-1"},
		{"Again", "again-2"},
	} {
		require.Equal(t, c.want, names.of(c.heading), c.heading)
	}
}

// checkout is a tree with the files that every build needs, and a document.
func checkout(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for _, name := range []string{baseStyle, duck} {
		data, err := os.ReadFile(filepath.Join("..", "..", name))
		require.NoError(t, err)
		write(t, root, name, string(data))
	}
	for name, text := range files {
		write(t, root, name, text)
	}
	return root
}

func write(t *testing.T, root, name, text string) {
	t.Helper()
	file := filepath.Join(root, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
}

// withContents builds with another list of contents.
func withContents(t *testing.T, contents string) {
	t.Helper()
	was := contentsText
	contentsText = []byte(contents)
	t.Cleanup(func() { contentsText = was })
}

func TestLinks(t *testing.T) {
	withContents(t, "Start\n  README.md  Home\n  a/README.md\n  a/MORE.md  More\nGo\n  package a/code\n")
	files := map[string]string{
		"README.md": "# Home\n[a](a) [b](a/MORE.md#second-part) [c](a/code) [d](a/code/x.go) [e](#home) [f](https://example.com/x)\n" +
			"[g](https://github.com/waddle-sessions/waddle/blob/main/a/MORE.md)\n",
		"a/README.md": "# A\n[home](../README.md) ![picture](p.svg)\n",
		"a/MORE.md":   "# More\n## Second part\ntext\n",
		"a/p.svg":     "<svg/>",
		"a/code/x.go": "// Package code is [Thing].\npackage code\n\n// Thing is one.\ntype Thing struct{ Next *Thing }\n",
	}
	root := checkout(t, files)
	out := filepath.Join(t.TempDir(), "out")
	built, err := Build(Options{Root: root, Out: out, Ref: "abc"})
	require.NoError(t, err)
	require.Equal(t, 4, built.Pages)
	home := read(t, out, "index.html")
	for _, want := range []string{
		`<a href="a/index.html">a</a>`, `<a href="a/MORE.html#second-part">b</a>`, `<a href="api/a/code/index.html">c</a>`,
		`<a href="https://github.com/waddle-sessions/waddle/blob/abc/a/code/x.go">d</a>`, `<a href="#home">e</a>`,
		`<a href="https://example.com/x">f</a>`, `<a href="a/MORE.html">g</a>`,
	} {
		require.Contains(t, home, want)
	}
	require.Contains(t, read(t, out, "a/index.html"), `<img src="p.svg" alt="picture"`)
	require.Equal(t, "<svg/>", read(t, out, "a/p.svg"))
	code := read(t, out, "api/a/code/index.html")
	require.Contains(t, code, `<a href="#Thing">Thing</a>`)
	require.Contains(t, code, `blob/abc/a/code/x.go#L5`)
	require.Contains(t, read(t, out, "search.js"), `{"p":2,"a":"second-part","h":"Second part","t":"text"}`)

	// A build that fails leaves the pages as they were.
	for _, c := range []struct{ name, file, text, want string }{
		{"no file", "a/MORE.md", "# More\n## Second part\n[x](gone.md)", "a/MORE.md links to gone.md, which is not there"},
		{"no anchor", "README.md", "# Home\n[x](a/MORE.md#third-part)", "a/MORE.md has no heading with that anchor"},
		{"no anchor here", "README.md", "# Home\n[x](#there)", "README.md has no heading with that anchor"},
		{"outside", "README.md", "# Home\n[x](../other)", "which is not there"},
		{"no picture", "README.md", "# Home\n![x](no.png)", "README.md shows no.png, which is not there"},
		{"a picture elsewhere", "README.md", "# Home\n![x](https://example.com/x.png)", "must be a picture of the checkout"},
		{"no place", "b/NEW.md", "# New", "b/NEW.md has no place"},
		{"no place for a package", "b/x.go", "package b", "the package b has no place"},
		{"no such name", "a/code/x.go", "// Package code is [Thing] and [Thing.Nothing] and [Other].\npackage code\n\n// Thing is [Thing.Gone] one.\ntype Thing struct{}\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			broken := checkout(t, files)
			write(t, broken, c.file, c.text)
			_, err := Build(Options{Root: broken, Out: out, Ref: "abc"})
			if c.want == "" {
				require.NoError(t, err) // go doc takes such brackets for text, too
				return
			}
			require.ErrorIs(t, err, ErrDocuments)
			require.ErrorContains(t, err, c.want)
			require.Equal(t, home, read(t, out, "index.html"))
		})
	}
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
	require.NoError(t, err)
	return string(data)
}

// The pages of this checkout can be built, and none fetches anything from elsewhere.
func TestThisCheckout(t *testing.T) {
	out := buildHere(t)
	pages := 0
	err := filepath.WalkDir(out, func(name string, d os.DirEntry, err error) error {
		require.NoError(t, err)
		if filepath.Ext(name) != ".html" {
			return nil
		}
		pages++
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, attribute := range []string{`src="http`, `src="//`, `rel="stylesheet" href="http`} {
			require.NotContains(t, string(data), attribute, name)
		}
		require.Less(t, len(data), 400<<10, "%s is too long for a page", name)
		return nil
	})
	require.NoError(t, err)
	require.Greater(t, pages, 50)
	page := read(t, out, "api/host/session/index.html")
	for _, want := range []string{`id="Session.Set"`, `<h2 id="Settings">`, `<a href="../store/index.html#Store">Store</a>`, `<details><summary>Example</summary>`} {
		require.Contains(t, page, want)
	}
	require.Contains(t, read(t, out, "abi/SPEC.html"), `id="6-revisions-and-expect"`)
}

// buildHere builds the pages of this checkout.
func buildHere(t *testing.T) (out string) {
	t.Helper()
	out = filepath.Join(t.TempDir(), "docs")
	built, err := Build(Options{Root: filepath.Join("..", ".."), Out: out, Results: filepath.Join("..", "results.json"), Ref: strings.Repeat("0", 40)})
	require.NoError(t, err)
	require.Greater(t, built.Sections, 1000)
	return out
}
