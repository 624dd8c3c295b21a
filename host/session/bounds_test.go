package session_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

func cborHead(major byte, n int) []byte {
	return []byte{major<<5 | 26, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
}

// cborArray is an array of about size bytes that repeats an item.
func cborArray(size int, item []byte) []byte {
	n := size / len(item)
	return append(cborHead(4, n), bytes.Repeat(item, n)...)
}

func around(n int, open string, inner string, end string) []byte {
	return []byte(strings.Repeat(open, n) + inner + strings.Repeat(end, n))
}

func jsonArray(size int, item []byte) []byte {
	return []byte("[" + strings.Repeat(string(item)+",", size/(len(item)+1)) + "0]")
}

// hostileValues are the values that cost each codec's decoder most. The others
// are compared with plain.
func hostileValues(codec session.Codec, size int) (plain []byte, values map[string][]byte) {
	if codec == session.CBOR {
		return cborArray(size, []byte{1}), map[string][]byte{
			"tags in tags":            append(bytes.Repeat([]byte{0xc6}, size), 0x60),
			"tags in tags, many":      cborArray(size, append(bytes.Repeat([]byte{0xc6}, 900), 0)),
			"a few tags, many":        cborArray(size, []byte{0xc6, 0xc6, 0xc6, 0xc6, 0}),
			"tags around arrays":      cborArray(size, around(900, "\xc6\xc6\xc6\x81", "\x00", "")),
			"times":                   cborArray(size, []byte("\xc0\x742026-01-01T00:00:00Z")),
			"arrays":                  cborArray(size, around(999, "\x81", "\x00", "")),
			"too deep":                around(size, "\x81", "\x00", ""),
			"maps":                    cborArray(size, around(999, "\xa1\x60", "\x00", "")),
			"indefinite arrays":       cborArray(size, around(size/100, "\x9f", "", "\xff")),
			"indefinite maps":         cborArray(size, around(size/100, "\xbf\x60", "\x00", "\xff")),
			"indefinite text":         cborArray(size, around(1, "\x7f", strings.Repeat("\x60", 4000), "\xff")),
			"empty maps":              cborArray(size, []byte{0xa0}),
			"empty arrays":            cborArray(size, []byte{0x80}),
			"one text":                append(cborHead(3, size), bytes.Repeat([]byte("x"), size)...),
			"one number":              append(append([]byte{0xc2}, cborHead(2, size)...), bytes.Repeat([]byte{0xff}, size)...),
			"numbers":                 cborArray(size, append([]byte{0xc2, 0x49}, bytes.Repeat([]byte{0xff}, 9)...)),
			"more than there is":      append(cborHead(4, 1<<31-1), bytes.Repeat([]byte{1}, size)...),
			"more than there is, map": append(cborHead(5, 1<<31-1), bytes.Repeat([]byte{1}, size)...),
			"keys that are one":       append(cborHead(5, size/2), bytes.Repeat([]byte{0x60, 0}, size/2)...),
		}
	}
	return jsonArray(size, []byte("1")), map[string][]byte{
		"arrays":                  jsonArray(size, around(998, "[", "", "]")),
		"objects":                 jsonArray(size, around(998, `{"":`, "0", "}")),
		"too deep":                around(9_999, "[", "", "]"),
		"empty objects":           jsonArray(size, []byte("{}")),
		"empty arrays":            jsonArray(size, []byte("[]")),
		"one text":                []byte(`"` + strings.Repeat("x", size) + `"`),
		"a text of escapes":       []byte(`"` + strings.Repeat(`\u0041`, size/6) + `"`),
		"a text of quotes":        []byte(`"` + strings.Repeat(`\"`, size/2) + `"`),
		"texts of backslashes":    jsonArray(size, []byte(`"\\"`)),
		"a text without an end":   []byte(`"` + strings.Repeat(`\a`, size/2)),
		"texts without an end":    []byte(strings.Repeat(`"\`, size/2)),
		"one number":              []byte(strings.Repeat("9", size)),
		"numbers":                 jsonArray(size, []byte(strings.Repeat("9", 9_999))),
		"keys that are one":       []byte("{" + strings.Repeat(`"":0,`, size/5) + `"":0}`),
		"space":                   append(bytes.Repeat([]byte(" "), size), '1'),
		"one number, a hair less": []byte(strings.Repeat("9", 10_000)),
	}
}

// TestDecodingIsWorthItsLength: decoding any bytes takes time and memory of the
// same order as a plain value of the same length.
func TestDecodingIsWorthItsLength(t *testing.T) {
	const (
		size   = 400_000
		slower = 150
		memory = 250 // bytes per byte
	)
	quickest := func(f func()) time.Duration {
		best := time.Hour
		for range 3 {
			begin := time.Now()
			f()
			best = min(best, time.Since(begin))
		}
		return best
	}
	for name, codec := range map[string]session.Codec{"CBOR": session.CBOR, "JSON": session.JSON} {
		plain, values := hostileValues(codec, size)
		for target, decode := range map[string]func(data []byte) error{
			"any":      func(data []byte) error { return codec.Unmarshal(data, new(any)) },
			"map":      func(data []byte) error { return codec.Unmarshal(data, new(map[string]any)) },
			"slice":    func(data []byte) error { return codec.Unmarshal(data, new([]any)) },
			"text":     func(data []byte) error { return codec.Unmarshal(data, new(string)) },
			"number":   func(data []byte) error { return codec.Unmarshal(data, new(big.Int)) },
			"numbers":  func(data []byte) error { return codec.Unmarshal(data, new([]*big.Int)) },
			"struct":   func(data []byte) error { return codec.Unmarshal(data, new(tree)) },
			"any kept": func(data []byte) error { var kept any = map[string]any{}; return codec.Unmarshal(data, &kept) },
		} {
			t.Run(name+" into "+target, func(t *testing.T) {
				yardstick := quickest(func() { require.NoError(t, codec.Unmarshal(plain, new(any))) })
				for shape, data := range values {
					var before, after runtime.MemStats
					runtime.ReadMemStats(&before)
					begin := time.Now()
					err := decode(data)
					took := time.Since(begin)
					runtime.ReadMemStats(&after)
					require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(memory*size), "%s: %.80v", shape, err)
					measure := yardstick
					for range 4 { // the machine may have been busy, or have become it
						if took < slower*measure {
							break
						}
						measure = quickest(func() { _ = codec.Unmarshal(plain, new(any)) })
						took = quickest(func() { _ = decode(data) })
					}
					require.Less(t, took, slower*measure, "%s: %.80v", shape, err)
				}
			})
		}
	}
}

// TestMemoryOfTheLargestValue: the bounds on a value's parts bound its memory.
// The longest value that a store takes does not cost a hundred times its
// length.
func TestMemoryOfTheLargestValue(t *testing.T) {
	const size = 16<<20 - 100
	for name, codec := range map[string]session.Codec{"CBOR": session.CBOR, "JSON": session.JSON} {
		plain, values := hostileValues(codec, size)
		values["plain"] = plain
		for shape, data := range values {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := codec.Unmarshal(data, new(any))
			runtime.ReadMemStats(&after)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(12*size), "%s, %s: %.80v", name, shape, err)
		}
	}
}

// TestWhatCannotBeReadIsNotWritten: Set and reading have the same bounds.
func TestWhatCannotBeReadIsNotWritten(t *testing.T) {
	deep := func(n int) any {
		v := any(int64(1))
		for range n {
			v = []any{v}
		}
		return v
	}
	deepMap := func(n int) any {
		v := any("x")
		for range n {
			v = map[string]any{"": v}
		}
		return v
	}
	for _, c := range []struct {
		name  string
		codec session.Codec
		value any
		says  string // empty if it is accepted
	}{
		{"arrays", session.CBOR, deep(1000), ""},
		{"arrays, too deep", session.CBOR, deep(1001), "1000"},
		{"maps", session.CBOR, deepMap(1000), ""},
		{"maps, too deep", session.CBOR, deepMap(1001), "1000"},
		{"a type, too deep", session.CBOR, nested(1001), "1000"},
		{"a type", session.CBOR, nested(1000), ""},
		{"far too deep", session.CBOR, deep(100_000), "1000"},
		{"items", session.CBOR, make([]bool, 499_999), ""},
		{"too many items", session.CBOR, make([]bool, 500_000), "500000 elements"},
		{"too many, in parts", session.CBOR, [][]bool{make([]bool, 250_000), make([]bool, 250_000)}, "500000 elements"},
		{"too many pairs", session.CBOR, largeMap(250_000), "500000 elements"},
		{"bytes", session.CBOR, make([]byte, 1<<20), ""},
		{"tags", session.CBOR, cbor.RawMessage(around(4, "\xc6", "\x00", "")), ""},
		{"too many tags", session.CBOR, cbor.RawMessage(around(5, "\xc6", "\x00", "")), "tags"},
		{"indefinite", session.CBOR, cbor.RawMessage("\x9f\xff"), "indefinite"},

		{"arrays", session.JSON, deep(1000), ""},
		{"arrays, too deep", session.JSON, deep(1001), "1000"},
		{"a type, too deep", session.JSON, nested(1001), "1000"},
		{"objects, too deep", session.JSON, deepMap(1001), "1000"},
		{"brackets in text", session.JSON, strings.Repeat(`[{"\`, 300_000), ""},
		{"items", session.JSON, make([]bool, 499_999), ""},
		{"too many items", session.JSON, make([]bool, 500_000), "500000 elements"},
		{"digits", session.JSON, json.RawMessage(strings.Repeat("1", 10_000)), ""},
		{"too many digits", session.JSON, json.RawMessage(strings.Repeat("1", 10_001)), "10000"},
		{"raw, too deep", session.JSON, json.RawMessage(around(1001, "[", "", "]")), "1000"},
	} {
		name := "CBOR, "
		if c.codec == session.JSON {
			name = "JSON, "
		}
		t.Run(name+c.name, func(t *testing.T) {
			a := newApp(t, store.NewMemory(), func(s *session.Settings) { s.Codec, s.MaxSize = c.codec, 8<<20 })
			b := a.browser()
			b.do(func(s *session.Session) {
				err := s.Set("v", c.value)
				if c.says == "" {
					require.NoError(t, err)
					return
				}
				require.ErrorIs(t, err, session.ErrEncode)
				require.ErrorContains(t, err, c.says)
				require.Less(t, len(err.Error()), 1000)
				require.False(t, s.Modified())
			})
			if c.says == "" {
				b.do(func(s *session.Session) {
					var got any
					ok, err := s.Get("v", &got)
					require.NoError(t, err)
					require.True(t, ok)
				})
				require.NotContains(t, a.kinds(), session.EventCorrupt)
			}
		})
	}
}

// TestAVisitorsNestedJSON: raw nested JSON from a visitor is refused once and
// costs later requests nothing.
func TestAVisitorsNestedJSON(t *testing.T) {
	a := newApp(t, store.NewMemory())
	address := a.route(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		var v any
		require.NoError(t, json.Unmarshal(body, &v))
		if err := session.From(r).Set("kept", v); err != nil {
			require.ErrorIs(t, err, session.ErrEncode)
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
	for _, c := range []struct {
		body []byte
		want int
	}{
		{jsonArray(1<<20, around(9_000, "[", "", "]")), http.StatusBadRequest},
		{jsonArray(1<<18, around(500, "[", "", "]")), http.StatusOK},
	} {
		response, err := a.server.Client().Post(address, "application/json", bytes.NewReader(c.body))
		require.NoError(t, err)
		require.NoError(t, errors.Join(response.Body.Close()))
		require.Equal(t, c.want, response.StatusCode)
	}
}
