package playground

import (
	"embed"
	"net/http"

	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/assets"
)

//go:embed assets
var files embed.FS

// page serves the page and its files. None of them touches a session: the page
// requests it as any script would.
type page map[string]*assets.File

func newPage() page {
	p := make(page)
	for name, file := range assets.New(files, "assets") {
		p["/assets/"+name] = file
	}
	p["/"], p["/favicon.ico"] = p["/assets/index.html"], p["/assets/duck.svg"]
	delete(p, "/assets/index.html")
	return p
}

func (p page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	file, ok := p[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	methods{http.MethodGet: file.ServeHTTP}.ServeHTTP(w, r)
}
