package site

import (
	"bytes"
	"embed"
	"html/template"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

//go:embed assets
var assets embed.FS

// baseStyle has the colours of all pages of the project, and duck the mark.
const (
	baseStyle = "host/cmd/waddle/internal/assets/common/base.css"
	duck      = "host/cmd/waddle/internal/assets/common/duck.svg"
)

var layout = template.Must(template.ParseFS(assets, "assets/page.html"))

// view has what the layout shows.
type view struct {
	Title, Part string
	Root        string // the way to the site's root, empty or ending in a slash
	API         bool
	Home        bool
	Body        template.HTML
	TOC         []heading
	Parts       []partView
	Source      string
	Previous    *linkView
	Next        *linkView
}

type partView struct {
	Title string
	Open  bool
	Links []linkView
}

type linkView struct {
	URL, Title string
	Current    bool
}

func (s *site) write(dir string) error {
	for i, p := range s.pages {
		var out bytes.Buffer
		if err := layout.Execute(&out, s.view(i, p)); err != nil {
			return err
		}
		if err := writeFile(dir, p.url, out.Bytes()); err != nil {
			return err
		}
	}
	for file := range s.files {
		if err := s.copyTo(dir, file, pictureURL(file)); err != nil {
			return err
		}
	}
	if err := s.copyTo(dir, duck, "duck.svg"); err != nil {
		return err
	}
	if err := s.writeStyle(dir); err != nil {
		return err
	}
	index, err := s.searchIndex()
	if err != nil {
		return err
	}
	if err := writeFile(dir, "search.js", index); err != nil {
		return err
	}
	script, err := fs.ReadFile(assets, "assets/docs.js")
	if err != nil {
		return err
	}
	return writeFile(dir, "docs.js", script)
}

func (s *site) writeStyle(dir string) error {
	base, err := os.ReadFile(filepath.Join(s.Root, filepath.FromSlash(baseStyle)))
	if err != nil {
		return err
	}
	own, err := fs.ReadFile(assets, "assets/docs.css")
	if err != nil {
		return err
	}
	code, err := codeStyle()
	if err != nil {
		return err
	}
	return writeFile(dir, "docs.css", bytes.Join([][]byte{base, code, own}, []byte("\n")))
}

func (s *site) view(i int, p *page) view {
	v := view{
		Title: p.title, Part: p.part, API: p.api, Home: p.url == "index.html",
		Root: strings.Repeat("../", strings.Count(p.url, "/")),
		Body: template.HTML(p.body), TOC: p.toc, Source: p.source,
	}
	for _, part := range s.contents {
		shown := partView{Title: part.Title, Open: part.Title == p.part}
		for _, q := range part.Pages {
			shown.Links = append(shown.Links, linkView{relative(p.url, q.url), q.title, q == p})
		}
		v.Parts = append(v.Parts, shown)
	}
	link := func(q *page) *linkView { return &linkView{URL: relative(p.url, q.url), Title: q.title} }
	if i > 0 {
		v.Previous = link(s.pages[i-1])
	}
	if i+1 < len(s.pages) {
		v.Next = link(s.pages[i+1])
	}
	return v
}

func (s *site) copyTo(dir, from, to string) error {
	data, err := os.ReadFile(filepath.Join(s.Root, filepath.FromSlash(from)))
	if err != nil {
		return err
	}
	return writeFile(dir, to, data)
}

func writeFile(dir, name string, data []byte) error {
	file := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.FromSlash(path.Dir(filepath.ToSlash(file))), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o644)
}
