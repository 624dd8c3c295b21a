package site

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/scanner"
	"go/token"
	"html"
	"strings"
)

// declaration writes a declaration as code in which the names of this project's
// packages are links.
func (w *apiWriter) declaration(decl ast.Decl) {
	var code bytes.Buffer
	if err := format.Node(&code, w.fset, withoutDoc(decl)); err != nil {
		return
	}
	w.out.WriteString("<pre class=\"code chroma\" tabindex=\"0\"><code>")
	w.linked(code.Bytes())
	w.out.WriteString("</code></pre>\n")
}

// withoutDoc returns a declaration without its doc comment, which is written as text
// beneath.
func withoutDoc(decl ast.Decl) ast.Decl {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		bare := *d
		bare.Doc, bare.Body = nil, nil
		return &bare
	case *ast.GenDecl:
		bare := *d
		bare.Doc = nil
		return &bare
	}
	return decl
}

// linked writes code token by token.
func (w *apiWriter) linked(code []byte) {
	var s scanner.Scanner
	file := token.NewFileSet().AddFile("", -1, len(code))
	s.Init(file, code, nil, scanner.ScanComments)
	done := 0
	var before, last string // the tokens before this one
	for {
		pos, kind, text := s.Scan()
		if kind == token.EOF {
			break
		}
		if kind == token.SEMICOLON && text == "\n" {
			continue // the scanner put it in
		}
		at := file.Offset(pos)
		if text == "" {
			text = kind.String()
		}
		w.out.WriteString(html.EscapeString(string(code[done:at])))
		w.out.WriteString(w.token(kind, text, before, last))
		done = at + len(text)
		before, last = last, text
	}
	w.out.WriteString(html.EscapeString(string(code[done:])))
}

// token returns a token as HTML. before and last are the two in front of it.
func (w *apiWriter) token(kind token.Token, text, before, last string) string {
	shown := html.EscapeString(text)
	switch {
	case kind.IsKeyword():
		return `<span class="k">` + shown + `</span>`
	case kind == token.COMMENT:
		return `<span class="c1">` + shown + `</span>`
	case kind == token.STRING, kind == token.CHAR:
		return `<span class="s">` + shown + `</span>`
	case kind == token.INT, kind == token.FLOAT:
		return `<span class="mi">` + shown + `</span>`
	case kind != token.IDENT || !ast.IsExported(text):
		return shown
	}
	if last == "." {
		if to := w.packages[w.imports[before]]; to != nil && to.ids[text] {
			return fmt.Sprintf(`<a href="%s#%s">%s</a>`, relative(w.url, to.url), text, shown)
		}
		return shown
	}
	if w.ids[text] && last != "type" && last != "func" && !strings.HasSuffix(last, ")") {
		return fmt.Sprintf(`<a href="#%s">%s</a>`, text, shown)
	}
	return shown
}
