// Package assets serves the files of the command's pages. Those in common belong to all of
// them: the colours and the duck.
package assets

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"net/http"
	"path"
	"time"
)

//go:embed common
var common embed.FS

// The operating system's table of types is not used: it differs between machines.
var types = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// File is a file of a page.
type File struct {
	content     []byte
	contentType string
	tag         string
}

// Files are the files of a page, by name.
type Files map[string]*File

// New returns the files of a directory that is part of the program, and the common ones.
func New(own embed.FS, dir string) Files {
	files := make(Files)
	files.add(common, "common")
	files.add(own, dir)
	return files
}

func (f Files) add(from embed.FS, dir string) {
	entries, err := from.ReadDir(dir)
	if err != nil {
		panic(err) // the files are part of the program
	}
	for _, entry := range entries {
		content, err := from.ReadFile(path.Join(dir, entry.Name()))
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(content)
		f[entry.Name()] = &File{content, types[path.Ext(entry.Name())], `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
	}
}

// ServeHTTP sends the file to those who do not have it yet.
func (f *File) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.contentType)
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", f.tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.content))
}
