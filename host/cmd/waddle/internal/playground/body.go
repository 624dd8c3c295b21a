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
	// maxBody is the most that a request's body may have, in bytes.
	maxBody = 64 << 10

	// maxDepth is how deep arrays and objects may lie in each other. Readers of
	// the session, session.JSON among them, have limits too, and a value that
	// nobody could read back would lock its owner out of the page.
	maxDepth = 1000
)

// codec is session.JSON that keeps <, > and & as they came. What is stored is
// JSON as before, so that the id of the codec stays.
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

// readValue returns the JSON value that is the request's body, or answers and
// returns false if there is none.
func readValue(w http.ResponseWriter, r *http.Request) (json.RawMessage, bool) {
	if !isJSON(r.Header.Get("Content-Type")) {
		writeError(w, http.StatusUnsupportedMediaType,
			fmt.Sprintf("the body is %q, and must be JSON; send Content-Type: application/json", r.Header.Get("Content-Type")))
		return nil, false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		writeError(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes", maxBody))
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

// readFields fills a struct with the fields of the JSON object that is the
// request's body, or answers, with the form that it should have, and returns
// false.
func readFields(w http.ResponseWriter, r *http.Request, fields any, form string) bool {
	value, ok := readValue(w, r)
	if !ok {
		return false
	}
	if err := json.Unmarshal(value, fields); err != nil {
		writeError(w, http.StatusBadRequest, fmt.Sprintf("the body is %s, and must be %s", excerpt(value), form))
		return false
	}
	return true
}

// isJSON reports whether a content type is that of JSON. None at all is taken
// for JSON, for scripts; what a form can send is not, so that a page elsewhere
// has one more thing that it cannot do.
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

// checkJSON says what keeps a body from being a value.
func checkJSON(body []byte) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return errors.New(`the body is empty, and must be a JSON value, such as 1, "text" or {"a":[true,null]}`)
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
		return fmt.Errorf("the body has arrays and objects in each other more than %d deep", maxDepth)
	}
	if err := session.JSON.Unmarshal(body, &value); err != nil {
		return fmt.Errorf("the body is more than a session takes: %w", err)
	}
	return nil
}

// depth returns how deep the arrays and objects of valid JSON lie in each other.
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

// checkKey says what keeps a name from being the key of a value.
func checkKey(key string) error {
	switch {
	case key == "" || len(key) > session.MaxKey:
		return fmt.Errorf("the key has %d bytes, and must have 1 to %d", len(key), session.MaxKey)
	case !utf8.ValidString(key):
		return errors.New("the key is not UTF-8")
	case key == "." || key == "..":
		return fmt.Errorf("the key is %q, which no address can name", key)
	}
	for _, c := range key {
		if !unicode.IsPrint(c) {
			return fmt.Errorf("the key has the character %U, and may have printable ones only", c)
		}
	}
	return nil
}
