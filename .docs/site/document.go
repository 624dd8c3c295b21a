package site

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

var markdown = goldmark.New(
	goldmark.WithExtensions(extension.GFM),
	goldmark.WithParserOptions(parser.WithAttribute()),
	goldmark.WithRendererOptions(
		html.WithUnsafe(), // the documents are the project's own
		renderer.WithNodeRenderers(util.Prioritized(codeRenderer{}, 100)),
	),
)

// document is a page that is made from Markdown.
type document struct {
	*page
	text []byte
	tree ast.Node
}

func (s *site) readDocument(p *page) (*document, error) {
	data, err := os.ReadFile(filepath.Join(s.Root, filepath.FromSlash(p.file)))
	if err != nil {
		return nil, err
	}
	p.source = s.sourceURL(p.file, false)
	d := &document{p, data, markdown.Parser().Parse(text.NewReader(data))}
	names := anchors{}
	first := true
	for n := d.tree.FirstChild(); n != nil; n = n.NextSibling() {
		h, ok := n.(*ast.Heading)
		if !ok {
			continue
		}
		title := plain(h, data)
		id := names.of(title)
		h.SetAttributeString("id", []byte(id))
		p.ids[id] = true
		if first {
			if p.title == "" {
				p.title = title
			}
		} else if h.Level <= 3 {
			p.toc = append(p.toc, heading{h.Level, id, title})
		}
		first = false
	}
	return d, nil
}

func (s *site) renderDocument(d *document) error {
	err := ast.Walk(d.tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Link:
			n.Destination = []byte(s.link(d.page, string(n.Destination)))
		case *ast.Image:
			n.Destination = []byte(s.picture(d.page, string(n.Destination)))
		}
		return ast.WalkContinue, nil
	})
	if err != nil {
		return err
	}
	d.collect()
	var out bytes.Buffer
	if err := markdown.Renderer().Render(&out, d.text, d.tree); err != nil {
		return err
	}
	d.body = out.Bytes()
	return nil
}

// collect cuts the text into sections for the search.
func (d *document) collect() {
	current := section{heading: d.title}
	flush := func() {
		current.text = strings.Join(strings.Fields(current.text), " ")
		if current.text != "" || current.id != "" {
			d.texts = append(d.texts, current)
		}
	}
	for n := d.tree.FirstChild(); n != nil; n = n.NextSibling() {
		if h, ok := n.(*ast.Heading); ok {
			flush()
			id, _ := h.AttributeString("id")
			current = section{id: string(id.([]byte)), heading: plain(h, d.text)}
			continue
		}
		current.text += " " + plain(n, d.text)
	}
	flush()
}

// plain returns the text of a node without its markup. Blocks are kept apart.
func plain(n ast.Node, source []byte) string {
	var b strings.Builder
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			if n.Type() == ast.TypeBlock {
				b.WriteByte(' ')
			}
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Text:
			b.Write(n.Segment.Value(source))
			if n.SoftLineBreak() || n.HardLineBreak() {
				b.WriteByte(' ')
			}
		case *ast.String:
			b.Write(n.Value)
		case *ast.AutoLink:
			b.Write(n.Label(source))
		case *ast.FencedCodeBlock, *ast.CodeBlock:
			lines := n.Lines()
			for i := range lines.Len() {
				line := lines.At(i)
				b.Write(line.Value(source))
			}
		}
		return ast.WalkContinue, nil
	})
	return strings.TrimSpace(b.String())
}
