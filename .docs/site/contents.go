package site

import (
	"bufio"
	"bytes"
	"fmt"
	"go/build"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	_ "embed"
)

// contentsText is the order of the pages. A line that is not indented begins a part.
// An indented line is a document's path, "package DIRECTORY", or "results" for the page of
// benchmarks, and after two spaces or more the title that lists show.
//
//go:embed contents.txt
var contentsText []byte

const resultsPage = "results"

// part is a heading of the contents with its pages.
type part struct {
	Title string
	Pages []*page
}

func (s *site) readContents() error {
	lines := bufio.NewScanner(bytes.NewReader(contentsText))
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.TrimSpace(line) == "":
			continue
		case !strings.HasPrefix(line, " "):
			s.contents = append(s.contents, part{Title: line})
			continue
		}
		name, title, _ := strings.Cut(strings.TrimSpace(line), "  ")
		p := &page{file: name, title: strings.TrimSpace(title), ids: map[string]bool{}}
		if dir, ok := strings.CutPrefix(name, "package "); ok {
			p.file, p.api, p.url = dir, true, path.Join("api", dir, "index.html")
		} else if name == resultsPage {
			p.results, p.url = true, "benchmarks.html"
		} else {
			p.url = pageOf(name)
		}
		key := p.key()
		if s.byFile[key] != nil {
			return fmt.Errorf("contents.txt has %s twice", name)
		}
		last := &s.contents[len(s.contents)-1]
		p.part = last.Title
		last.Pages = append(last.Pages, p)
		s.byFile[key] = p
		s.pages = append(s.pages, p)
	}
	documents, packages, err := published(s.Root)
	if err != nil {
		return err
	}
	for _, name := range documents {
		if s.byFile[name] == nil {
			s.fault("%s has no place: give it a line in .docs/site/contents.txt", name)
		}
	}
	for _, dir := range packages {
		if s.byFile["package "+dir] == nil {
			s.fault("the package %s has no place: give it a line in .docs/site/contents.txt", dir)
		}
	}
	for _, p := range s.pages {
		if !p.results && (p.api && !slices.Contains(packages, p.file) || !p.api && !slices.Contains(documents, p.file)) {
			return fmt.Errorf("contents.txt has %s, which is not there", p.key())
		}
	}
	return nil
}

func (p *page) key() string {
	if p.api {
		return "package " + p.file
	}
	return p.file
}

// pageOf returns where the page of a document is: a README is the page of its
// directory.
func pageOf(document string) string {
	dir, name := path.Split(document)
	name = strings.TrimSuffix(name, ".md")
	if name == "README" {
		name = "index"
	}
	return dir + name + ".html"
}

// published finds the documents of a checkout, and the directories of the packages that
// others may import.
func published(root string) (documents, packages []string, err error) {
	err = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		base := path.Base(rel)
		if !d.IsDir() {
			if strings.HasSuffix(base, ".md") {
				documents = append(documents, rel)
			}
			return nil
		}
		if rel != "." && (strings.HasPrefix(base, ".") || base == "bin" || base == "node_modules" || base == "testdata") {
			return fs.SkipDir
		}
		if importable(name, rel) {
			packages = append(packages, rel)
		}
		return nil
	})
	return documents, packages, err
}

// importable reports whether a directory has a package for others: not a program, and
// not beneath examples, whose code is to be copied, or the engines, which run as guests.
func importable(dir, rel string) bool {
	if rel == "." || strings.HasPrefix(rel, "examples") || strings.HasPrefix(rel, "guest/engines") || slices.Contains(strings.Split(rel, "/"), "internal") {
		return false
	}
	p, err := build.ImportDir(dir, 0)
	return err == nil && p.Name != "main" && len(p.GoFiles) > 0
}

// exists reports whether a path of the checkout exists, and whether it is a directory.
func (s *site) exists(file string) (dir, ok bool) {
	info, err := os.Stat(filepath.Join(s.Root, filepath.FromSlash(file)))
	return err == nil && info.IsDir(), err == nil
}
