package playground

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"net/http"
	"path"
	"time"
)

//go:embed assets
var assets embed.FS

// asset is a file of the page.
type asset struct {
	content     []byte
	contentType string
	tag         string
}

// page serves the page and its files. None of them touches a session: the page
// requests it as any script would.
type page map[string]asset

func newPage() page {
	// The operating system's table of types is not used: it differs between
	// machines.
	types := map[string]string{
		".html": "text/html; charset=utf-8",
		".css":  "text/css; charset=utf-8",
		".js":   "text/javascript; charset=utf-8",
		".svg":  "image/svg+xml",
	}
	files, err := assets.ReadDir("assets")
	if err != nil {
		panic(err) // the files are part of the program
	}
	p := make(page, len(files)+1)
	for _, file := range files {
		name := "assets/" + file.Name()
		content, err := assets.ReadFile(name)
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(content)
		a := asset{content, types[path.Ext(name)], `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
		if file.Name() == "index.html" {
			p["/"] = a
			continue
		}
		p["/"+name] = a
	}
	p["/favicon.ico"] = p["/assets/duck.svg"]
	return p
}

func (p page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a, ok := p[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	methods{http.MethodGet: func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", a.contentType)
		h.Set("Cache-Control", "no-cache")
		h.Set("ETag", a.tag)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.content))
	}}.ServeHTTP(w, r)
}
