package site

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/build"
	"go/doc"
	"go/doc/comment"
	"go/format"
	"go/parser"
	"go/token"
	"html"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

const modulePath = "github.com/waddle-sessions/waddle"

// apiPackage is a page that is made from a Go package.
type apiPackage struct {
	*page
	fset    *token.FileSet
	doc     *doc.Package
	imports map[string]string // import paths by the names that files have for them
	out     bytes.Buffer
}

func (s *site) readPackage(p *page) (*apiPackage, error) {
	dir := filepath.Join(s.Root, filepath.FromSlash(p.file))
	found, err := build.ImportDir(dir, 0)
	if err != nil {
		return nil, err
	}
	a := &apiPackage{page: p, fset: token.NewFileSet(), imports: map[string]string{}}
	var files []*ast.File
	for _, name := range slices.Concat(found.GoFiles, found.TestGoFiles, found.XTestGoFiles) {
		f, err := parser.ParseFile(a.fset, filepath.Join(dir, name), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
		for _, i := range f.Imports {
			imported := strings.Trim(i.Path.Value, `"`)
			name := path.Base(imported)
			if i.Name != nil {
				name = i.Name.Name
			}
			a.imports[name] = imported
		}
	}
	a.doc, err = doc.NewFromFiles(a.fset, files, path.Join(modulePath, p.file))
	if err != nil {
		return nil, fmt.Errorf("package %s: %w", p.file, err)
	}
	if p.title == "" {
		p.title = a.doc.Name
	}
	p.source = s.sourceURL(p.file, true)
	a.declare()
	return a, nil
}

// declare notes the anchors of the package and its table of contents.
func (a *apiPackage) declare() {
	add := func(level int, id string) {
		a.ids[id] = true
		a.toc = append(a.toc, heading{level, id, strings.ReplaceAll(id, "-", " ")})
	}
	if len(a.doc.Consts) > 0 {
		add(2, "Constants")
	}
	if len(a.doc.Vars) > 0 {
		add(2, "Variables")
	}
	for _, f := range a.doc.Funcs {
		add(2, f.Name)
	}
	for _, t := range a.doc.Types {
		add(2, t.Name)
		for _, f := range t.Funcs {
			add(3, f.Name)
		}
		for _, m := range t.Methods {
			add(3, t.Name+"."+m.Name)
		}
	}
	for _, v := range a.values() {
		for _, name := range v.Names {
			a.ids[name] = true
		}
	}
}

// values are all constants and variables, those of types included.
func (a *apiPackage) values() []*doc.Value {
	all := slices.Concat(a.doc.Consts, a.doc.Vars)
	for _, t := range a.doc.Types {
		all = slices.Concat(all, t.Consts, t.Vars)
	}
	return all
}

func (s *site) renderPackage(a *apiPackage, all []*apiPackage) error {
	w := &apiWriter{a, s, map[string]*apiPackage{}}
	for _, p := range all {
		w.packages[path.Join(modulePath, p.file)] = p
	}
	fmt.Fprintf(&a.out, "<h1>package %s</h1>\n<pre class=\"code chroma\" tabindex=\"0\"><code>import %q</code></pre>\n", html.EscapeString(a.doc.Name), path.Join(modulePath, a.file))
	w.section("", a.title)
	w.comment(a.doc.Doc)
	w.examples(a.doc.Examples)
	if len(a.doc.Consts) > 0 {
		w.heading(2, "Constants", "Constants", nil)
		w.values(a.doc.Consts)
	}
	if len(a.doc.Vars) > 0 {
		w.heading(2, "Variables", "Variables", nil)
		w.values(a.doc.Vars)
	}
	for _, f := range a.doc.Funcs {
		w.function(2, f.Name, f)
	}
	for _, t := range a.doc.Types {
		w.heading(2, t.Name, "type "+t.Name, t.Decl)
		w.declaration(t.Decl)
		w.comment(t.Doc)
		w.values(t.Consts)
		w.values(t.Vars)
		w.examples(t.Examples)
		for _, f := range t.Funcs {
			w.function(3, f.Name, f)
		}
		for _, m := range t.Methods {
			w.function(3, t.Name+"."+m.Name, m)
		}
	}
	a.body = a.out.Bytes()
	return nil
}

// apiWriter writes the page of a package.
type apiWriter struct {
	*apiPackage
	site     *site
	packages map[string]*apiPackage // by import path
}

func (w *apiWriter) section(id, heading string) {
	w.texts = append(w.texts, section{id: id, heading: heading})
}

// say adds to the text that the search finds under the last heading.
func (w *apiWriter) say(text string) {
	last := &w.texts[len(w.texts)-1]
	last.text = strings.TrimSpace(last.text + " " + strings.Join(strings.Fields(text), " "))
}

func (w *apiWriter) heading(level int, id, title string, decl ast.Node) {
	w.section(id, id)
	fmt.Fprintf(&w.out, `<h%d id="%s">%s`, level, html.EscapeString(id), html.EscapeString(title))
	if decl != nil {
		at := w.fset.Position(decl.Pos())
		where := w.site.sourceURL(path.Join(w.file, filepath.Base(at.Filename)), false)
		fmt.Fprintf(&w.out, ` <a class="source" href="%s#L%d">source</a>`, where, at.Line)
	}
	fmt.Fprintf(&w.out, "</h%d>\n", level)
}

func (w *apiWriter) function(level int, id string, f *doc.Func) {
	title := "func " + f.Name
	if f.Recv != "" {
		title = "func (" + f.Recv + ") " + f.Name
	}
	w.heading(level, id, title, f.Decl)
	w.declaration(f.Decl)
	w.comment(f.Doc)
	w.examples(f.Examples)
}

func (w *apiWriter) values(values []*doc.Value) {
	for _, v := range values {
		w.say(strings.Join(v.Names, " "))
		for _, name := range v.Names {
			if ast.IsExported(name) {
				fmt.Fprintf(&w.out, `<span id="%s"></span>`, name)
			}
		}
		w.declaration(v.Decl)
		w.comment(v.Doc)
	}
}

// comment writes a doc comment.
func (w *apiWriter) comment(text string) {
	if text == "" {
		return
	}
	w.say(text)
	p := w.doc.Printer()
	p.HeadingLevel = 4
	// Its anchors must not be those of declarations.
	p.HeadingID = func(h *comment.Heading) string { return "about-" + strings.TrimPrefix(h.DefaultID(), "hdr-") }
	p.DocLinkURL = w.docLink
	w.out.WriteString(`<div class="comment">`)
	w.out.Write(p.HTML(w.doc.Parser().Parse(text)))
	w.out.WriteString("</div>\n")
}

func (w *apiWriter) docLink(l *comment.DocLink) string {
	id := l.Name
	if l.Recv != "" {
		id = l.Recv + "." + l.Name
	}
	to := w.apiPackage
	if l.ImportPath != "" {
		to = w.packages[l.ImportPath]
	}
	if to == nil {
		return l.DefaultURL("https://pkg.go.dev")
	}
	// A field has no anchor of its own; it stands with its type.
	if id != "" && !to.ids[id] {
		if !to.ids[l.Recv] {
			w.site.fault("the comments of package %s link to %s in %s, which is not declared there", w.file, id, to.file)
		}
		id = l.Recv
	}
	if to == w.apiPackage {
		return "#" + id
	}
	return relative(w.url, to.url) + "#" + id
}

func (w *apiWriter) examples(examples []*doc.Example) {
	for _, e := range examples {
		title := "Example"
		if e.Suffix != "" {
			title += ": " + e.Suffix
		}
		var code bytes.Buffer
		node := any(e.Code)
		if e.Play != nil {
			node = e.Play
		}
		if err := format.Node(&code, w.fset, node); err != nil {
			continue
		}
		text := code.String()
		if e.Play == nil { // a block with its braces
			text = unindented(text)
		}
		fmt.Fprintf(&w.out, "<details><summary>%s</summary>\n", html.EscapeString(title))
		w.comment(e.Doc)
		w.out.WriteString(codeBlock("go", text))
		if e.Output != "" {
			fmt.Fprintf(&w.out, "<p>Output:</p>\n%s", codeBlock("", e.Output))
		}
		w.out.WriteString("</details>\n")
	}
}

func unindented(block string) string {
	lines := strings.Split(strings.TrimSuffix(strings.TrimPrefix(block, "{"), "}"), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimPrefix(line, "\t")
	}
	return strings.Trim(strings.Join(lines, "\n"), "\n") + "\n"
}
