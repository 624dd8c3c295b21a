package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/store"
)

var updateAllocations = flag.Bool("update", false, "write the table of allocations anew")

// allocationsTable has what one request, or one bare call, allocates: exactly, whatever the
// machine does meanwhile.
var allocationsTable = filepath.Join("testdata", "allocations.txt")

// A request or call that allocates more has lost something, and one that allocates less has
// won something that must not be lost again: both need a new table.
func TestAllocations(t *testing.T) {
	if raced {
		t.Skip("the race detector makes pools drop what they hold")
	}
	found := allocationsFound(t)
	if *updateAllocations {
		require.NoError(t, os.WriteFile(allocationsTable, []byte(found), 0o644))
	}
	data, err := os.ReadFile(allocationsTable)
	require.NoError(t, err)
	want := string(bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")))
	wanted, got := strings.Split(want, "\n"), strings.Split(found, "\n")
	if wanted[0] != got[0] {
		require.NotEqual(t, "true", os.Getenv("CI"), "the table is for %q, this is %q: write it anew with \"make allocations UPDATE=1\"", wanted[0], got[0])
		t.Skipf("SKIPPED: the table is for %q, this is %q", wanted[0], got[0])
	}
	require.Empty(t, changedAllocations(wanted, got), "what is allocated has changed: mend it or, if it is less or cannot be helped, write the table anew with \"make allocations UPDATE=1\"")
}

// slack is by how many bytes an operation's figure may differ. Values of some bytes share a block,
// so an average may be off by a fraction; the next larger block is eight bytes larger.
const slack = 4

// changedAllocations returns the lines that differ.
func changedAllocations(want, found []string) (changed []string) {
	for i := range max(len(want), len(found)) {
		if i >= len(want) || i >= len(found) {
			return append(changed, fmt.Sprintf("the table has %d lines, found were %d", len(want), len(found)))
		}
		if want[i] == found[i] {
			continue
		}
		a, b := strings.Fields(want[i]), strings.Fields(found[i])
		if n := len(a) - 1; n > 0 && slices.Equal(a[:n], b[:max(len(b)-1, 0)]) {
			x, err1 := strconv.Atoi(a[n])
			y, err2 := strconv.Atoi(b[n])
			if err1 == nil && err2 == nil && max(x, y)-min(x, y) <= slack {
				continue
			}
		}
		changed = append(changed, "want "+want[i]+", found "+found[i])
	}
	return changed
}

func TestChangedAllocations(t *testing.T) {
	line := "read store 7 1528"
	for _, c := range []struct {
		found string
		want  int
	}{{line, 0}, {"read store 7 1530", 0}, {"read store 7 1536", 1}, {"read store 7 1520", 1}, {"read store 8 1528", 1}, {"read store 6 1528", 1}, {"write store 7 1528", 1}, {"", 1}} {
		require.Len(t, changedAllocations([]string{line}, []string{c.found}), c.want, c.found)
	}
	require.Len(t, changedAllocations([]string{line, line}, []string{line}), 1)
	require.Len(t, changedAllocations([]string{line}, []string{line, line}), 1)
}

// allocationsFound measures everything on one core and with the collector switched off, so that
// no pool is emptied.
func allocationsFound(t *testing.T) string {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	version := strings.Join(strings.SplitN(runtime.Version(), ".", 3)[:2], ".")
	var out strings.Builder
	fmt.Fprintf(&out, "# %s, pointers of %d bits\n%-10s %-36s %6s %6s\n", version, 32<<(^uint(0)>>63), "operation", "store", "allocs", "bytes")
	add := func(operation, subject string, each func()) {
		allocs, size := allocated(each)
		fmt.Fprintf(&out, "%-10s %-36s %6d %6d\n", operation, subject, allocs, size)
	}
	for _, p := range peers() {
		if !strings.HasPrefix(p.name, "waddle") {
			continue
		}
		app := start(t, p, 1)
		for _, op := range measured {
			if p.does(op) {
				add(op.String(), p.name, func() { app.run(op, 0, 1, 1) })
			}
		}
		require.NoError(t, app.verify())
	}
	ctx := context.Background()
	engine, err := openEngine(ctx, engineSmall)
	require.NoError(t, err)
	for _, c := range []*storeCallee{newStoreCallee(ctx, nameNativeCall, store.NewMemory()), newStoreCallee(ctx, nameWasmCall, engine)} {
		require.NoError(t, verifyCallee(c))
		var failed error
		room := make([]byte, 0, valueSize)
		call := func(each func(i int) error) func() {
			at := 0
			return func() {
				if err := each(at); err != nil {
					failed = err
				}
				at = (at + 1) % callKeys
			}
		}
		add("get", c.label, call(func(i int) error { _, err := c.get(i); return err }))
		add("get into", c.label, call(func(i int) error {
			_, err := store.AtMost(c.store).GetInto(ctx, c.keys[i], c.now, room, valueSize)
			return err
		}))
		add("set", c.label, call(c.set))
		add("replace", c.label, call(func(i int) error {
			return c.store.Set(ctx, store.Write{Key: c.keys[i], Value: c.values[i], Expires: c.now + crowdLife, Now: c.now, Expect: 1})
		}))
		require.NoError(t, failed)
		require.NoError(t, c.close())
	}
	return out.String()
}

// allocated returns the allocations and bytes of one of many operations: the fewest of some tries,
// since something else may allocate in one.
func allocated(each func()) (allocs, size int) {
	const operations, tries = users * 16, 4
	for range users * 300 { // fills what is kept between operations, and counters beyond a byte
		each()
	}
	least := [2]uint64{^uint64(0), ^uint64(0)}
	for range tries {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range operations {
			each()
		}
		runtime.ReadMemStats(&after)
		least[0] = min(least[0], after.Mallocs-before.Mallocs)
		least[1] = min(least[1], after.TotalAlloc-before.TotalAlloc)
	}
	round := func(n uint64) int { return int((n + operations/2) / operations) }
	return round(least[0]), round(least[1])
}
