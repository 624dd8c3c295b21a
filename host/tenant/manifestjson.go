package tenant

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// node is a value of JSON with its place. Package encoding/json takes a duplicate name, a
// name in other letters and half a character without a word, so the tree is built from
// its tokens.
type node struct {
	value any // string, json.Number, bool, nil, []*node or object
	path  string
	line  int

	begin, end int // in the text
}

type object struct {
	names  []string // in the order of the text
	values map[string]*node
}

const (
	maxDepth  = 8
	maxValues = 10_000
)

// reader builds a tree.
type reader struct {
	text   []byte
	tokens *json.Decoder
	count  int
	faults *faults

	counted int64 // the offset up to which lines are counted
	line    int
}

// errSyntax ends the reading of a text that is no JSON. The fault has been told.
var errSyntax = errors.New("not JSON")

// readTree returns the tree of a text, or nil if there is none. Faults that do not end the
// reading are told with those that come later.
func readTree(text []byte, f *faults) *node {
	r := &reader{text: text, tokens: json.NewDecoder(bytes.NewReader(text)), faults: f, line: 1}
	r.tokens.UseNumber()
	switch {
	case len(text) > MaxManifest:
		f.add("$", "has %d bytes: must have at most %d; put a large plugin into a file of its own", len(text), MaxManifest)
		return nil
	case bytes.HasPrefix(text, []byte("\xef\xbb\xbf")):
		f.add("$", "begins with a byte order mark: must be JSON in UTF-8 without one")
		return nil
	case !utf8.Valid(text):
		f.add("$", "is not UTF-8 from byte %d on: must be JSON in UTF-8", invalidAt(text))
		return nil
	}
	root, err := r.value("$", 0)
	if err == nil {
		if at, rest := r.rest(); rest != "" {
			f.lines["$"] = at
			f.add("$", "goes on with %s after its end: must be one object and nothing after it", quote(rest))
			return nil
		}
		return root
	}
	return nil
}

func invalidAt(text []byte) int {
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return len(text)
}

// value reads one value.
func (r *reader) value(path string, depth int) (*node, error) {
	token, raw, err := r.next(path)
	if err != nil {
		return nil, err
	}
	return r.begun(token, raw, path, depth)
}

// begun reads the rest of a value whose first token has been read.
func (r *reader) begun(token json.Token, raw []byte, path string, depth int) (*node, error) {
	end := int(r.tokens.InputOffset())
	n := &node{value: token, path: path, line: r.line, begin: end - len(bytes.TrimLeft(raw, " \t\r\n,:")), end: end}
	r.faults.lines[path] = r.line
	if r.count++; r.count > maxValues {
		r.faults.add(path, "is value %d of the manifest: must be at most %d values in all", r.count, maxValues)
		return nil, errSyntax
	}
	switch token := token.(type) {
	case json.Delim:
		if depth == maxDepth {
			r.faults.add(cutPath(path), "is nested %d deep: must be at most %d", depth+1, maxDepth)
			return nil, errSyntax
		}
		if token == '[' {
			return n, r.array(n, depth)
		}
		return n, r.object(n, depth)
	case string:
		if loneSurrogate(raw) {
			r.faults.add(path, "has half a character (an escape from \\ud800 to \\udfff without its other half): must be Unicode text")
		}
	}
	return n, nil
}

func (r *reader) array(n *node, depth int) error {
	items := []*node{}
	for r.tokens.More() {
		item, err := r.value(n.path+"["+strconv.Itoa(len(items))+"]", depth+1)
		if err != nil {
			return err
		}
		items = append(items, item)
	}
	n.value = items
	return r.closed(n)
}

func (r *reader) object(n *node, depth int) error {
	o := object{values: make(map[string]*node)}
	for r.tokens.More() {
		token, raw, err := r.next(n.path)
		if err != nil {
			return err
		}
		name := token.(string) // the decoder takes nothing else here
		path := member(n.path, name)
		line := r.line
		if loneSurrogate(raw) {
			r.faults.add(path, "has half a character in its name: must be Unicode text")
		}
		first := o.values[name]
		value, err := r.value(path, depth+1)
		if err != nil {
			return err
		}
		if first != nil {
			r.faults.lines[path] = line
			r.faults.add(path, "is there twice, first in line %d: must be there once", first.line)
			continue
		}
		o.names = append(o.names, name)
		o.values[name] = value
	}
	n.value = o
	return r.closed(n)
}

// closed reads the end of a list or an object.
func (r *reader) closed(n *node) error {
	_, _, err := r.next(n.path)
	n.end = int(r.tokens.InputOffset())
	return err
}

// next returns a token and its text.
func (r *reader) next(path string) (json.Token, []byte, error) {
	before := r.tokens.InputOffset()
	token, err := r.tokens.Token()
	if err != nil {
		r.syntax(path, err)
		return nil, nil, errSyntax
	}
	after := r.tokens.InputOffset()
	r.line += bytes.Count(r.text[r.counted:after], []byte{'\n'})
	r.counted = after
	return token, r.text[before:after], nil
}

// syntax tells why a text is no JSON, and where.
func (r *reader) syntax(path string, err error) {
	var syntax *json.SyntaxError
	at := int64(len(r.text))
	problem := "ends too early"
	if len(bytes.TrimSpace(r.text)) == 0 {
		problem = "is empty"
	}
	if errors.As(err, &syntax) && !errors.Is(err, io.ErrUnexpectedEOF) && !strings.Contains(err.Error(), "unexpected end") {
		at = min(syntax.Offset, at)
		problem = err.Error()
	}
	line := 1 + bytes.Count(r.text[:at], []byte{'\n'})
	column := int(at) - bytes.LastIndexByte(r.text[:at], '\n') - 1
	r.faults.lines[path] = line
	r.faults.add(path, "is not JSON: %s at column %d; must be one JSON object", problem, max(column, 1))
}

// rest returns the beginning of what follows the value, and its line.
func (r *reader) rest() (line int, text string) {
	rest := r.text[r.tokens.InputOffset():]
	trimmed := bytes.TrimLeft(rest, " \t\r\n")
	return r.line + bytes.Count(rest[:len(rest)-len(trimmed)], []byte{'\n'}), string(trimmed)
}

// loneSurrogate reports whether the text of a string has an escape for half a character.
// The decoder makes U+FFFD of it.
func loneSurrogate(raw []byte) bool {
	escape := func(i int) (code uint64, ok bool) {
		if i+6 > len(raw) || raw[i] != '\\' || raw[i+1] != 'u' {
			return 0, false
		}
		code, err := strconv.ParseUint(string(raw[i+2:i+6]), 16, 16)
		return code, err == nil
	}
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		code, ok := escape(i)
		switch {
		case !ok:
			i++ // the escaped character
		case code >= 0xd800 && code < 0xdc00:
			low, ok := escape(i + 6)
			if !ok || low < 0xdc00 || low > 0xdfff {
				return true
			}
			i += 11
		case code >= 0xdc00 && code <= 0xdfff:
			return true
		default:
			i += 5
		}
	}
	return false
}

// cutPath shortens the path of a value that is nested too deep.
func cutPath(path string) string {
	const most = 80
	if len(path) > most {
		return path[:most] + "…"
	}
	return path
}

// kind names a node's type.
func (n *node) kind() string {
	switch v := n.value.(type) {
	case string:
		return "the text " + quote(v)
	case json.Number:
		return "the number " + quoteNumber(v.String())
	case bool:
		return fmt.Sprint(v)
	case nil:
		return "null"
	case []*node:
		return "a list"
	}
	return "an object"
}

func quoteNumber(text string) string {
	if len(text) > 40 {
		return text[:40] + "…"
	}
	return text
}
