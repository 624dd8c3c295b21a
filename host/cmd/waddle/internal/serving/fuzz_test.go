package serving_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/serving"
)

// FuzzReadCommit: a body is refused, or read as encoding/json reads it, and values keep
// their bytes.
func FuzzReadCommit(f *testing.F) {
	for _, body := range []string{
		`{"id":""}`, ` { "id" : "x" , "set" : { "a" : 1.50 , "b\n" : [ {"c":"}"} , null ] } , "delete" : [ "d" , "\u0065" ] } `,
		`{"id":"x","revision":7,"on_conflict":"fail","clear":true,"renew":false}`, `{"id":"x","log_in":{"user":"ada","note":{"a":"b"}}}`,
		`{"id":"x","expiry":{"lifetime_ms":1000,"expires":"2026-01-01T00:00:00Z","reset":true,"persistence":"browser"}}`,
		`{"id":"x","set":{"a":"\\\"","b":-0.0e+10,"c":{}}}`, `{"id":"x","id":"y"}`, `{"set":[]}`, `[[[[`, "{\"\xff\":1}",
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		id, names, values, err := serving.ReadCommit(body)
		if err != nil {
			return
		}
		var want struct {
			ID  string                     `json:"id"`
			Set map[string]json.RawMessage `json:"set"`
		}
		if err := json.Unmarshal(body, &want); err != nil {
			t.Fatalf("found no error for %q, want %v", body, err)
		}
		if id != want.ID || len(names) != len(want.Set) {
			t.Fatalf("found %q and %q, want %q and %d values", id, names, want.ID, len(want.Set))
		}
		for i, name := range names {
			if !bytes.Equal(values[i], want.Set[name]) {
				t.Fatalf("found %q under %q, want %q", values[i], name, want.Set[name])
			}
		}
	})
}
