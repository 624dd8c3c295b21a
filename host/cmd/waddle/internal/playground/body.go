package playground

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"unicode"
	"unicode/utf8"

	"github.com/waddle-sessions/waddle/host/session"
)

const (
	// maxBody is the largest body of a request, in bytes.
	maxBody = 64 << 10

	// maxDepth is how deep arrays and objects may be nested. Readers of the
	// session, including session.JSON, have limits too, and a value that cannot be
	// read back would lock its owner out of the page.
	maxDepth = 1000
)

// codec is session.JSON, but does not escape <, > and &. The stored form is still
// JSON, so the codec's id stays the same.
type codec struct{ session.Codec }

func (codec) Marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// readValue returns the request's body, a JSON value. If it is not one, readValue
// answers the request and returns false.
func readValue(w http.ResponseWriter, r *http.Request) (json.RawMessage, bool) {
	if !isJSON(r.Header.Get("Content-Type")) {
		writeError(w, http.StatusUnsupportedMediaType,
			fmt.Sprintf("the body is %q: must be JSON; send Content-Type: application/json", r.Header.Get("Content-Type")))
		return nil, false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		writeError(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is too large: must be at most %d bytes", maxBody))
		return nil, false
	case err != nil:
		writeError(w, http.StatusBadRequest, "the body could not be read to its end")
		return nil, false
	}
	if err := checkJSON(body); err != nil {
		writeError(w, http.StatusBadRequest, err.Error())
		return nil, false
	}
	return body, true
}

// readFields fills a struct from the request's body, a JSON object. If it is not
// one, readFields answers with the required form and returns false.
func readFields(w http.ResponseWriter, r *http.Request, fields any, form string) bool {
	value, ok := readValue(w, r)
	if !ok {
		return false
	}
	if err := json.Unmarshal(value, fields); err != nil {
		writeError(w, http.StatusBadRequest, fmt.Sprintf("the body is %s: must be %s", excerpt(value), form))
		return false
	}
	return true
}

// isJSON reports whether a content type is that of JSON. For scripts, no content
// type also counts as JSON. The types that a form can send do not, which restricts
// pages of other sites further.
func isJSON(contentType string) bool {
	if contentType == "" {
		return true
	}
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil || kind != "application/json" {
		return false
	}
	switch params["charset"] {
	case "", "utf-8", "UTF-8":
		return true
	}
	return false
}

// checkJSON returns an error that says why a body cannot be a value.
func checkJSON(body []byte) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return errors.New(`the body is empty: must be a JSON value, such as 1, "text" or {"a":[true,null]}`)
	}
	if !utf8.Valid(body) {
		return errors.New("the body is not JSON: it is not UTF-8")
	}
	var value json.RawMessage
	if err := json.Unmarshal(body, &value); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return fmt.Errorf("the body is not JSON: %s, at byte %d", syntax, syntax.Offset)
		}
		return fmt.Errorf("the body is not JSON: %w", err)
	}
	if depth(body) > maxDepth {
		return fmt.Errorf("the body nests arrays and objects too deeply: must be at most %d deep", maxDepth)
	}
	if err := session.JSON.Unmarshal(body, &value); err != nil {
		return fmt.Errorf("the body is more than a session can store: %w", err)
	}
	return nil
}

// depth returns how deep the arrays and objects of valid JSON are nested.
func depth(value []byte) (deepest int) {
	now, inString := 0, false
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '[' || c == '{':
			now++
			deepest = max(deepest, now)
		case c == ']' || c == '}':
			now--
		}
	}
	return deepest
}

// checkKey returns an error that says why a name cannot be the key of a value.
func checkKey(key string) error {
	switch {
	case key == "" || len(key) > session.MaxKey:
		return fmt.Errorf("the key is %d bytes: must be 1 to %d", len(key), session.MaxKey)
	case !utf8.ValidString(key):
		return errors.New("the key is not UTF-8")
	case key == "." || key == "..":
		return fmt.Errorf("the key is %q: must not be . or .., which no address can name", key)
	}
	for _, c := range key {
		if !unicode.IsPrint(c) {
			return fmt.Errorf("the key has the character %U: must have only printable ones", c)
		}
	}
	return nil
}
