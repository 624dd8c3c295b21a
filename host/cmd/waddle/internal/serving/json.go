package serving

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// fields says what an object of a request may have: for each name a pointer to the
// variable for its value. Nothing else is taken, and nothing twice: a misspelt field would
// otherwise silently do nothing.
type fields map[string]any

// named is a value under a name, in the bytes that the client sent.
type named struct {
	name  string
	value []byte
}

// errJSON is returned when a body is wrong.
var errJSON = errors.New("the body")

// readBody reads a request's body, a JSON object.
func readBody(body []byte, f fields) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return fmt.Errorf("%w is empty: must be a JSON object with %s", errJSON, f.names())
	}
	if !utf8.Valid(body) {
		return fmt.Errorf("%w is not JSON: it is not UTF-8", errJSON)
	}
	if !json.Valid(body) {
		var v json.RawMessage
		err := json.Unmarshal(body, &v)
		if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
			return fmt.Errorf("%w is not JSON: %w, at byte %d", errJSON, err, syntax.Offset)
		}
		return fmt.Errorf("%w is not JSON: %w", errJSON, err)
	}
	if err := f.read(errJSON.Error(), body); err != nil {
		return badRequest("%v", err)
	}
	return nil
}

// read reads an object, which is valid JSON. where names it in errors, which quote no
// value: it may be an id.
func (f fields) read(where string, object []byte) error {
	if object = bytes.TrimLeft(object, space); object[0] != '{' {
		return fmt.Errorf("%s is %s: must be an object with %s", where, kindOf(object), f.names())
	}
	seen := make(map[string]bool, len(f))
	for name, value := range members(object) {
		to, known := f[name]
		switch {
		case !known:
			return fmt.Errorf("%s has %s: must have only %s", where, excerpt(name), f.names())
		case seen[name]:
			return fmt.Errorf("%s has %q twice: must have it once", where, name)
		}
		seen[name] = true
		if err := readValue(name, value, to); err != nil {
			return err
		}
	}
	for name, to := range f {
		if _, must := to.(*required); must && !seen[name] {
			return fmt.Errorf("%s has no %s: must have it, a string", where, name)
		}
	}
	return nil
}

func (f fields) names() string {
	if len(f) == 0 {
		return "nothing"
	}
	return strings.Join(slices.Sorted(maps.Keys(f)), ", ")
}

// readValue reads one value, which is valid JSON.
func readValue(name string, value []byte, to any) error {
	must := func(what string) error { return fmt.Errorf("%s is %s: must be %s", name, kindOf(value), what) }
	switch to := to.(type) {
	case *object:
		to.given = true
		return to.fields.read(name, value)
	case *string:
		if value[0] != '"' {
			return must("a string")
		}
		*to = text(value)
	case *word:
		to.given = true
		return readValue(name, value, &to.s)
	case *required:
		return readValue(name, value, (*string)(to))
	case *bool:
		if string(value) != "true" && string(value) != "false" {
			return must("true or false")
		}
		*to = value[0] == 't'
	case *count:
		n, err := strconv.ParseUint(string(value), 10, 63)
		if err != nil {
			return must("a whole number from 0 to 9223372036854775807")
		}
		*to = count{n, true}
	case *millis:
		n, err := strconv.ParseInt(string(value), 10, 64)
		if err != nil || n > maxMillis || n < -1 {
			return must("a whole number of milliseconds")
		}
		*to = millis{time.Duration(n) * time.Millisecond, true}
		if n == -1 {
			to.d = -1 // session.Off
		}
	case *moment:
		if value[0] != '"' {
			return must("a time such as \"2026-12-24T18:00:00.000Z\"")
		}
		t, err := time.Parse(time.RFC3339, text(value))
		if err != nil {
			return fmt.Errorf("%s is %s: must be a time such as \"2026-12-24T18:00:00.000Z\"", name, excerpt(text(value)))
		}
		*to = moment{t, true}
	case *[]string:
		if value[0] != '[' {
			return must("an array of strings")
		}
		for one := range elements(value) {
			if one[0] != '"' {
				return fmt.Errorf("%s has %s: must have strings only", name, kindOf(one))
			}
			*to = append(*to, text(one))
		}
	case *map[string]string:
		if value[0] != '{' {
			return must("an object of strings")
		}
		*to = make(map[string]string)
		for key, one := range members(value) {
			if one[0] != '"' {
				return fmt.Errorf("%s has %s under %s: must have strings only", name, kindOf(one), excerpt(key))
			}
			if _, twice := (*to)[key]; twice {
				return fmt.Errorf("%s has %s twice: must have it once", name, excerpt(key))
			}
			(*to)[key] = text(one)
		}
	case *[]named:
		if value[0] != '{' {
			return must("an object")
		}
		seen := make(map[string]bool)
		for key, one := range members(value) {
			if seen[key] {
				return fmt.Errorf("%s has %s twice: must have it once", name, excerpt(key))
			}
			seen[key] = true
			*to = append(*to, named{key, one})
		}
	default:
		panic(fmt.Sprintf("serving: no form for %T", to))
	}
	return nil
}

// required is a string that must be there, even if it is empty.
type required string

// object is an object whose presence counts.
type object struct {
	fields
	given bool
}

// word is a string that need not be there.
type word struct {
	s     string
	given bool
}

type count struct {
	n     uint64
	given bool
}

type millis struct {
	d     time.Duration
	given bool
}

// maxMillis is more than a session may have, and fits a time.Duration.
const maxMillis = 200 * 366 * 24 * 3600 * 1000

type moment struct {
	t     time.Time
	given bool
}

const space = " \t\r\n"

// members yields the names of an object, which is valid JSON, and the bytes of the
// values.
func members(object []byte) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		rest := bytes.TrimLeft(object[1:], space)
		for rest[0] != '}' {
			name := valueAt(rest)
			rest = bytes.TrimLeft(rest[len(name):], space)
			rest = bytes.TrimLeft(rest[1:], space) // the colon
			value := valueAt(rest)
			rest = bytes.TrimLeft(rest[len(value):], space)
			if !yield(text(name), value) {
				return
			}
			if rest[0] == ',' {
				rest = bytes.TrimLeft(rest[1:], space)
			}
		}
	}
}

// elements yields the elements of an array, which is valid JSON.
func elements(array []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		rest := bytes.TrimLeft(array[1:], space)
		for rest[0] != ']' {
			value := valueAt(rest)
			rest = bytes.TrimLeft(rest[len(value):], space)
			if !yield(value) {
				return
			}
			if rest[0] == ',' {
				rest = bytes.TrimLeft(rest[1:], space)
			}
		}
	}
}

// valueAt returns the value at the beginning of valid JSON. It does not go deeper with
// what is nested, so nothing that a client sends exhausts the stack.
func valueAt(data []byte) []byte {
	depth := 0
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case c == '"':
			for i++; data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
			if depth == 0 {
				return data[: i+1 : i+1]
			}
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth < 0 {
				return data[:i:i] // the end of what a number was in
			}
			if depth == 0 {
				return data[: i+1 : i+1]
			}
		case depth == 0 && (c == ',' || strings.IndexByte(space, c) >= 0):
			return data[:i:i]
		}
	}
	return data
}

// text returns the text of a JSON string. Half a surrogate pair becomes U+FFFD.
func text(quoted []byte) string {
	inner := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return string(inner)
	}
	var s string
	_ = json.Unmarshal(quoted, &s) // valid
	return s
}

// kindOf names the kind of a value, without its content.
func kindOf(value []byte) string {
	switch value[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f', 'n':
		return string(value)
	}
	return "the number " + excerpt(string(value))
}

// excerpt quotes the beginning of what a client said.
func excerpt(s string) string {
	const most = 40
	if len(s) <= most {
		return strconv.Quote(s)
	}
	return strconv.Quote(strings.ToValidUTF8(s[:most], "")) + "…"
}

// appendText appends a JSON string.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			return appendJSON(b, s)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// appendJSON appends what encoding/json writes, without its escapes for HTML.
func appendJSON(b []byte, v any) []byte {
	out := bytes.NewBuffer(b)
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // the types are ours
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

// timeForm is RFC 3339 with milliseconds, which is what sessions have.
const timeForm = `"2006-01-02T15:04:05.000Z07:00"`

func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, "null"...)
	}
	return t.UTC().AppendFormat(b, timeForm)
}
