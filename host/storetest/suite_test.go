package storetest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"hash/fnv"
	"iter"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
	"github.com/waddle-sessions/waddle/host/storetest/internal/readme"
)

// update rewrites the tables of the READMEs.
var update = flag.Bool("update", false, "write the table of checks in README.md")

// TestSections: every section that a check names is a heading of the
// specification, and every check says what is required.
func TestSections(t *testing.T) {
	spec, err := os.ReadFile("../../abi/SPEC.md")
	require.NoError(t, err)
	seen := make(map[string]bool)
	for _, test := range storetest.Tests() {
		require.Contains(t, string(spec), "\n## "+test.Section+"\n", test.Name)
		require.NotEmpty(t, test.Requires, test.Name)
		require.Regexp(t, regexp.MustCompile(`^[a-z]+/[a-z-]+$`), test.Name)
		require.False(t, seen[test.Name], "%s is there twice", test.Name)
		seen[test.Name] = true
	}
}

// TestTableOfChecks: the README lists all checks.
func TestTableOfChecks(t *testing.T) { readme.RequireTable(t, "README.md", storetest.Tests(), *update) }

// hashes are the functions for which the suite has colliding keys.
var hashes = map[string]func([]byte) uint32{
	"fnv-1a": func(b []byte) uint32 { h := fnv.New32a(); h.Write(b); return h.Sum32() },
	"fnv-1":  func(b []byte) uint32 { h := fnv.New32(); h.Write(b); return h.Sum32() },
	"crc-32": crc32.ChecksumIEEE,
	"djb2": func(b []byte) uint32 {
		h := uint32(5381)
		for _, c := range b {
			h = h*33 + uint32(c)
		}
		return h
	},
	"times 31": func(b []byte) (h uint32) {
		for _, c := range b {
			h = h*31 + uint32(c)
		}
		return h
	},
	"sum": func(b []byte) (h uint32) {
		for _, c := range b {
			h += uint32(c)
		}
		return h
	},
	"xor": func(b []byte) (h uint32) {
		for _, c := range b {
			h ^= uint32(c)
		}
		return h
	},
	"xor of words": func(b []byte) (h uint32) {
		for i := 0; i+4 <= len(b); i += 4 {
			h ^= uint32(b[i]) | uint32(b[i+1])<<8 | uint32(b[i+2])<<16 | uint32(b[i+3])<<24
		}
		return h
	},
}

func TestCollidingKeysCollide(t *testing.T) {
	for _, pair := range storetest.HashPairs() {
		hash := hashes[pair.Hash]
		require.NotNil(t, hash, pair.Hash)
		require.NotEqual(t, pair.A, pair.B)
		require.Equal(t, hash([]byte(pair.A)), hash([]byte(pair.B)), "%s: %s and %s", pair.Hash, pair.A, pair.B)
	}
}

// TestKeysOfOneHash: in each family, all 64 keys have one hash and one length.
func TestKeysOfOneHash(t *testing.T) {
	families := storetest.OneHash()
	require.Len(t, families, 6)
	for name, keys := range families {
		require.Len(t, keys, 64)
		seen := make(map[string]bool)
		for _, key := range keys {
			require.Equal(t, hashes[name](keys[0]), hashes[name](key), "%s: %q and %q", name, keys[0], key)
			require.Len(t, key, len(keys[0]))
			require.False(t, seen[string(key)], "%q is there twice", key)
			seen[string(key)] = true
		}
	}
}

// plain is a store with only the required operations.
type plain struct{ store.Store }

func TestWhatAStoreLacksIsSkipped(t *testing.T) {
	open := func(context.Context, storetest.Setup) (store.Store, error) { return plain{store.NewMemory()}, nil }
	report := storetest.Check(ctx, open, storetest.Options{Soak: 2000, Sequences: 20, Dir: t.TempDir()})
	require.Zero(t, report.Failed)
	require.Equal(t, "storetest_test.plain", report.Target)
	for _, r := range report.Results {
		if r.Status == storetest.Skip {
			require.Regexp(t, "^((sweep|keys|snapshot|restore|reopen|space|touch|clear|shared)/.*|"+
				"(expiry|expect)/(after|absent-for-touch|absent-in-).*|life/closed)", r.Name)
			require.NotEmpty(t, r.Reason)
		}
	}
	require.Equal(t, "the store does not sweep", report.Result("sweep/counts").Reason)

	// An operation that answers UNSUPPORTED counts as absent.
	unsupported := func(context.Context, storetest.Setup) (store.Store, error) {
		return &faulty{Memory: store.NewMemory(),
			sweep: func(*store.Memory, int, store.Millis) (int, error) { return 0, store.ErrUnsupported },
			keys: func(*store.Memory, store.Millis) iter.Seq2[[]byte, error] {
				return func(yield func([]byte, error) bool) { yield(nil, store.ErrUnsupported) }
			}}, nil
	}
	report = storetest.Check(ctx, unsupported, storetest.Options{Only: []string{"sweep", "keys"}, Dir: t.TempDir()})
	require.Zero(t, report.Failed+report.Passed)
}

func TestAStoreThatDoesNotOpen(t *testing.T) {
	broken := errors.New("a fault for tests")
	report := storetest.Check(ctx, func(context.Context, storetest.Setup) (store.Store, error) { return nil, broken }, storetest.Options{Dir: t.TempDir()})
	require.Equal(t, 1, report.Failed, "one check reports it")
	require.Zero(t, report.Passed)
	require.Contains(t, report.Results[0].Failure.Found, "a fault for tests")
}

func TestOnlyAndSkip(t *testing.T) {
	names := func(o storetest.Options) (out []string) {
		o.Dir = t.TempDir()
		for _, r := range storetest.Check(ctx, openMemory, o).Results {
			out = append(out, fmt.Sprintf("%s %s", r.Status, r.Name))
		}
		return out
	}
	require.Equal(t, []string{"pass delete/removes", "skip delete/absent", "pass delete/neighbours", "pass delete/then-set", "pass expect/any"},
		names(storetest.Options{Only: []string{"delete", "*/any"}, Skip: []string{"*/abs*"}}))
	require.Equal(t, []string{"fail suite/options"}, names(storetest.Options{Only: []string{"delet"}}))
	require.Contains(t, names(storetest.Options{Skip: []string{"nothing/*"}, Only: []string{"expect/any"}}), "fail suite/options")
	require.Equal(t, []string{"fail suite/options"}, names(storetest.Options{Only: []string{"[bad"}}))
	for misspelt, says := range map[string]string{
		"gte": "perhaps get was meant", "delet": `"delet" matches no check; perhaps delete or space/delete was meant`, "exact-milisecond": "perhaps expiry/exact-millisecond was meant",
		"touch/extend": "perhaps touch/extends was meant", "no such thing": "use the groups life, get, set", "[bad": "not well formed",
		"delete/*/*": "use the groups",
	} {
		report := storetest.Check(ctx, openMemory, storetest.Options{Skip: []string{misspelt}, Dir: t.TempDir()})
		require.Contains(t, report.Misuse, says)
		var text strings.Builder
		require.NoError(t, report.WriteText(&text))
		require.Contains(t, text.String(), "FAIL: nothing was checked: the pattern")
	}
}

func TestCancelledRun(t *testing.T) {
	cancelled, cancel := context.WithCancel(ctx)
	report := storetest.Check(cancelled, openMemory, storetest.Options{Dir: t.TempDir(), Progress: func(p storetest.Progress) {
		if p.Number == 5 {
			cancel()
		}
	}})
	require.Zero(t, report.Failed)
	require.Equal(t, 4, report.Passed)
	require.Equal(t, len(storetest.Tests())-4, report.Skipped)
}

// An error because the run was ended does not count against the store.
func TestCancelledWhileOpening(t *testing.T) {
	cancelled, cancel := context.WithCancel(ctx)
	report := storetest.Check(cancelled, func(ctx context.Context, _ storetest.Setup) (store.Store, error) {
		cancel()
		return nil, ctx.Err()
	}, storetest.Options{Dir: t.TempDir()})
	require.Zero(t, report.Failed)
	require.Equal(t, len(storetest.Tests()), report.Skipped)
}

// TestSeed: the same seed makes the same calls, and the report of a failure
// names it.
func TestSeed(t *testing.T) {
	run := func(seed uint64) *storetest.Report {
		open := func(context.Context, storetest.Setup) (store.Store, error) {
			return &faulty{Memory: store.NewMemory(), touch: func(m *store.Memory, key []byte, expires, now store.Millis) error {
				return m.Touch(ctx, key, expires+1, now)
			}}, nil
		}
		return storetest.Check(ctx, open, storetest.Options{Only: []string{"random"}, Seed: seed, Dir: t.TempDir()})
	}
	a, b := run(7), run(7)
	require.Equal(t, storetest.Fail, a.Results[0].Status)
	require.Equal(t, a.Results[0].Failure, b.Results[0].Failure)
	require.EqualValues(t, 7, a.Results[0].Failure.Seed)
	drawn := run(0)
	require.NotZero(t, drawn.Seed)
	require.Equal(t, drawn.Seed, drawn.Results[0].Failure.Seed)

	// The failure shows only what is needed: open, a few calls, the wrong
	// answer.
	require.LessOrEqual(t, len(a.Results[0].Failure.Calls), 8)
	require.Contains(t, a.Results[0].Failure.Expected, "shrunk to")
}

func TestReport(t *testing.T) {
	open := func(context.Context, storetest.Setup) (store.Store, error) {
		return &faulty{Memory: store.NewMemory(), get: func(m *store.Memory, key []byte, now store.Millis) ([]byte, error) { return m.Get(ctx, key, now+1) }}, nil
	}
	report := storetest.Check(ctx, open, storetest.Options{Target: "a store for tests", Only: []string{"expiry/exact-millisecond", "get/not-found", "reopen/clear"}, Seed: 3, Dir: t.TempDir()})
	var text, machine bytes.Buffer
	require.NoError(t, report.WriteText(&text))
	for _, part := range []string{
		"a store for tests, seed 3\n", "pass  get          1\n", "fail  expiry/exact-millisecond\n",
		"SPEC.md, 5. Time: a record is there while now_ms < expires_ms\n",
		`set       key "key 0" (6b 65 79 20 30, 5 bytes), value "\x05\x00\x00\x00\x00\x00\x00\x00first" (05 00 00 00 00 00 00 00 66 69 72 73 74, 13 bytes), expires T+1, now T, expect any -> success`,
		"found:    NOT_FOUND\n", "expected: the value ", "seed:     3\n",
		"skip  reopen/clear: the store is not said to be durable\n", "FAIL: 1 passed, 1 failed, 1 skipped",
	} {
		require.Contains(t, text.String(), part)
	}
	require.NoError(t, report.WriteJSON(&machine))
	var back storetest.Report
	require.NoError(t, json.Unmarshal(machine.Bytes(), &back))
	require.Equal(t, *report, back)
	require.Contains(t, machine.String(), `"status": "fail"`)
	require.NotContains(t, machine.String(), `\u003c`)
}

// TestLongBytesAreShortened: a failure of the largest value can be read.
func TestLongBytesAreShortened(t *testing.T) {
	open := func(context.Context, storetest.Setup) (store.Store, error) {
		return &faulty{Memory: store.NewMemory(), set: func(m *store.Memory, w store.Write) error {
			w.Value = bytes.Clone(w.Value)
			if len(w.Value) > 1<<20 {
				w.Value[1<<20] ^= 1
			}
			return m.Set(ctx, w)
		}}, nil
	}
	report := storetest.Check(ctx, open, storetest.Options{Only: []string{"limits/largest-value"}, Dir: t.TempDir()})
	require.Contains(t, report.Results[0].Failure.Found, "differs from byte 1048576 on")
	var text strings.Builder
	require.NoError(t, report.WriteText(&text))
	require.Less(t, text.Len(), 5000)
	require.Contains(t, text.String(), "16777215 bytes")
}

func TestMoreChecks(t *testing.T) {
	own := func(name string) storetest.Test {
		return storetest.Test{Name: name, Section: "5. Time", Requires: "something", Run: func(p *storetest.Probe) {
			s := p.Open(storetest.Setup{})
			s.Put([]byte("k"), storetest.Value(1, 10))
			s.Get([]byte("k"), storetest.Now, storetest.Value(2, 10))
		}}
	}
	report := storetest.Check(ctx, openMemory, storetest.Options{Only: []string{"own", "get/again"}, More: []storetest.Test{own("own/one"), own("get/again")}, Dir: t.TempDir()})
	require.Len(t, report.Results, 2)
	require.Equal(t, 2, report.Failed, "the second replaced the suite's")
	require.Equal(t, "own/one", report.Results[0].Name)
}

func TestProgressOfLongChecks(t *testing.T) {
	longest := map[string]int{}
	storetest.Check(ctx, openMemory, storetest.Options{Only: []string{"soak", "random", "growth"}, Soak: 5000, Dir: t.TempDir(),
		Progress: func(p storetest.Progress) {
			require.LessOrEqual(t, p.Done, max(p.Total, 0))
			longest[p.Check] = max(longest[p.Check], p.Total)
		}})
	require.Equal(t, 5000, longest["soak/mixed"])
	require.Positive(t, longest["random/sequences"])
	require.Positive(t, longest["growth/many-records"])
}

// TestNothingIsLeftBehind: directories are removed.
func TestNothingIsLeftBehind(t *testing.T) {
	dir := t.TempDir()
	storetest.Check(ctx, func(_ context.Context, s storetest.Setup) (store.Store, error) {
		if err := os.WriteFile(s.Dir+"/file", nil, 0o600); err != nil {
			return nil, err
		}
		return store.NewMemory(), nil
	}, storetest.Options{Only: []string{"get", "random", "reopen"}, Dir: dir, Durable: true})
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}
