package site

import (
	"bytes"
	"fmt"
	"html"
	"strings"

	"github.com/alecthomas/chroma/v2"
	formatter "github.com/alecthomas/chroma/v2/formatters/html"
	"github.com/alecthomas/chroma/v2/lexers"
	"github.com/alecthomas/chroma/v2/styles"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/util"
)

// highlighter writes code with classes, so that both themes share the pages.
var highlighter = formatter.New(formatter.WithClasses(true), formatter.PreventSurroundingPre(true))

// codeRenderer renders the blocks of code in documents.
type codeRenderer struct{}

func (codeRenderer) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(ast.KindFencedCodeBlock, renderCode)
	r.Register(ast.KindCodeBlock, renderCode)
}

func renderCode(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		return ast.WalkContinue, nil
	}
	language := ""
	if fenced, ok := n.(*ast.FencedCodeBlock); ok {
		language = string(fenced.Language(source))
	}
	var code strings.Builder
	for i := range n.Lines().Len() {
		line := n.Lines().At(i)
		code.Write(line.Value(source))
	}
	_, err := w.WriteString(codeBlock(language, code.String()))
	return ast.WalkSkipChildren, err
}

// codeBlock returns code as HTML. Somebody without a mouse can scroll it, too.
func codeBlock(language, code string) string {
	return fmt.Sprintf("<pre class=\"code chroma\" tabindex=\"0\"><code>%s</code></pre>\n", highlighted(language, code))
}

func highlighted(language, code string) string {
	lexer := lexers.Get(language)
	if language == "" || lexer == nil {
		return html.EscapeString(code)
	}
	tokens, err := chroma.Coalesce(lexer).Tokenise(nil, code)
	if err != nil {
		return html.EscapeString(code)
	}
	var out bytes.Buffer
	if err := highlighter.Format(&out, styles.Fallback, tokens); err != nil {
		return html.EscapeString(code)
	}
	return out.String()
}

// codeStyle returns the colours of code for both themes.
func codeStyle() ([]byte, error) {
	var out bytes.Buffer
	write := func(style string) error { return highlighter.WriteCSS(&out, styles.Get(style)) }
	if err := write("github"); err != nil {
		return nil, err
	}
	out.WriteString("@media (prefers-color-scheme: dark) {\n")
	if err := write("github-dark"); err != nil {
		return nil, err
	}
	out.WriteString("}\n")
	return out.Bytes(), nil
}
