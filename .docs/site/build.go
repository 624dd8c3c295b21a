// Package site makes static pages of the documents and Go packages of a checkout.
package site

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Options say what to build.
type Options struct {
	Root    string // the checkout
	Out     string // the directory of the pages, which is replaced
	Ref     string // the commit that links to sources lead to; empty for the one that is checked out
	Results string // the results of benchmarks
}

// Built is what Build made.
type Built struct{ Pages, Sections int }

// ErrDocuments is returned when the documents are wrong in themselves: a dead link, or
// one that has no place in the contents. Nothing is written then.
var ErrDocuments = errors.New("the documents are not complete")

// Build makes all pages. It writes them to a directory beside Out first, so that Out
// is either as it was or complete.
func Build(o Options) (Built, error) {
	s, err := load(o)
	if err != nil {
		return Built{}, err
	}
	if faults := s.faults(); len(faults) > 0 {
		return Built{}, fmt.Errorf("%w:\n%w", ErrDocuments, errors.Join(faults...))
	}
	out, err := filepath.Abs(o.Out)
	if err != nil {
		return Built{}, err
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return Built{}, err
	}
	fresh, err := os.MkdirTemp(filepath.Dir(out), "docs-")
	if err != nil {
		return Built{}, err
	}
	defer os.RemoveAll(fresh)
	if err := s.write(fresh); err != nil {
		return Built{}, err
	}
	if err := os.RemoveAll(out); err != nil {
		return Built{}, err
	}
	if err := os.Rename(fresh, out); err != nil {
		return Built{}, err
	}
	return Built{len(s.pages), len(s.sections())}, os.Chmod(out, 0o755)
}

// site is everything in memory.
type site struct {
	Options
	contents []part
	pages    []*page          // in the order of the contents
	byFile   map[string]*page // a document by its path, a package by its directory
	files    map[string]bool  // pictures that documents show
	wrong    []error
}

// page is a document or a package.
type page struct {
	file    string // path of the document, or the package's directory, from the root
	url     string // path of the page, from the site's root
	title   string // for lists of pages
	part    string // the heading in the contents
	api     bool   // made from a package
	results bool   // made from the results of benchmarks
	body    []byte // HTML
	toc     []heading
	ids     map[string]bool // anchors
	texts   []section
	source  string // address of the source of the page
}

// heading is one that a page's own table of contents lists.
type heading struct {
	Level     int
	ID, Title string
}

// section is what the search finds: the text under one heading.
type section struct{ id, heading, text string }

func load(o Options) (*site, error) {
	s := &site{Options: o, byFile: map[string]*page{}, files: map[string]bool{}}
	if s.Ref == "" {
		ref, err := checkedOut(o.Root)
		if err != nil {
			return nil, err
		}
		s.Ref = ref
	}
	if err := s.readContents(); err != nil {
		return nil, err
	}
	// All pages are parsed before any is rendered: a link needs the anchors of its
	// target.
	var documents []*document
	var packages []*apiPackage
	for _, p := range s.pages {
		if p.results {
			if err := s.renderResults(p); err != nil {
				return nil, err
			}
			continue
		}
		if p.api {
			a, err := s.readPackage(p)
			if err != nil {
				return nil, err
			}
			packages = append(packages, a)
			continue
		}
		d, err := s.readDocument(p)
		if err != nil {
			return nil, err
		}
		documents = append(documents, d)
	}
	for _, d := range documents {
		if err := s.renderDocument(d); err != nil {
			return nil, err
		}
	}
	for _, a := range packages {
		if err := s.renderPackage(a, packages); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *site) fault(format string, args ...any) {
	s.wrong = append(s.wrong, fmt.Errorf("  "+format, args...))
}

func (s *site) faults() []error { return s.wrong }
