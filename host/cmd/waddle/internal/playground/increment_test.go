package playground_test

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/store"
)

// However many increments run at once, each gets its own number and none is lost.
func TestIncrementTogether(t *testing.T) {
	onStores(t, func(t *testing.T, s store.Store) {
		const clients, each = 25, 20
		v := visit(t, serve(t, s))
		v.ok("PUT", "/api/session/other", `"stays"`)
		id := v.id()

		var mu sync.Mutex
		var got []int
		var wait sync.WaitGroup
		for range clients {
			wait.Go(func() {
				client := v.with(id)
				for range each {
					a := client.do("POST", "/api/session/n/increment", "")
					var body struct{ Value int }
					if a.StatusCode != 200 || json.Unmarshal([]byte(a.text), &body) != nil {
						t.Errorf("%d: %s", a.StatusCode, a.text)
						return
					}
					mu.Lock()
					got = append(got, body.Value)
					mu.Unlock()
				}
			})
		}
		wait.Wait()
		slices.Sort(got)
		require.Len(t, got, clients*each)
		for i, n := range got {
			require.Equal(t, i+1, n, "each number once")
		}
		require.Equal(t, map[string]string{"n": "500", "other": `"stays"`}, v.values())
	})
}

func TestIncrement(t *testing.T) {
	v := visit(t, serve(t, store.NewMemory()))
	for _, c := range []struct{ before, after string }{
		{"0", "1"}, {"-1", "0"}, {"-0", "1"}, {"41", "42"},
		{"9007199254740992", "9007199254740993"},
		{"9223372036854775806", "9223372036854775807"},
		{"-9223372036854775808", "-9223372036854775807"},
	} {
		v.ok("PUT", "/api/session/n", c.before)
		require.Equal(t, `{"value":`+c.after+"}\n", v.ok("POST", "/api/session/n/increment", "").text)
		require.Equal(t, c.after, v.values()["n"])
	}
}

func TestIncrementRefuses(t *testing.T) {
	v := visit(t, serve(t, store.NewMemory()))
	v.ok("PUT", "/api/session/other", "5")
	for value, says := range map[string]string{
		`"7"`: "not an integer", "null": "not an integer", "1.5": "not an integer", "1.0": "not an integer",
		"1e3": "not an integer", "[1]": "not an integer", `{"n":1}`: "not an integer", "true": "not an integer",
		"9223372036854775807":                  "the largest",
		"9223372036854775808":                  "does not fit",
		"-9223372036854775809":                 "does not fit",
		`"` + strings.Repeat("é", 500) + `"`:   "é…",
		"123456789012345678901234567890123456": "does not fit",
	} {
		v.ok("PUT", "/api/session/n", value)
		a := v.do("POST", "/api/session/n/increment", "")
		require.Equal(t, 409, a.StatusCode, "%s: %s", value, a.text)
		require.Contains(t, a.text, says)
		require.Contains(t, a.text, "nothing was changed")
		require.Equal(t, map[string]string{"n": value, "other": "5"}, v.values())
	}
}
