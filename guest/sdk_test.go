package guest_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
)

// plain is the smallest possible engine: a map, and no optional interface.
type plain struct {
	values map[string][]byte
	fail   error // what every operation returns, if not nil
	writes []guest.Write
}

func (p *plain) Open(*guest.Config) error {
	p.values = make(map[string][]byte)
	return nil
}

func (p *plain) Get(key []byte, _ int64) ([]byte, error) {
	if p.fail != nil {
		return nil, p.fail
	}
	value, ok := p.values[string(key)]
	if !ok {
		return nil, guest.ErrNotFound
	}
	return value, nil
}

func (p *plain) Set(w guest.Write) error {
	if p.fail != nil {
		return p.fail
	}
	w.Key, w.Value = bytes.Clone(w.Key), bytes.Clone(w.Value)
	p.writes = append(p.writes, w)
	p.values[string(w.Key)] = w.Value
	return nil
}

func (p *plain) Delete(key []byte, _ int64) error {
	if _, ok := p.values[string(key)]; !ok && p.fail == nil {
		return guest.ErrNotFound
	}
	delete(p.values, string(key))
	return p.fail
}

func (p *plain) Clear(int64) error { clear(p.values); return p.fail }
func (p *plain) Save(int64) error  { return p.fail }

// full has all optional interfaces, over a list in the order of its keys.
type full struct {
	plain
	keys [][]byte
}

func (f *full) Touch(key []byte, _, now int64) error { _, err := f.Get(key, now); return err }
func (f *full) Sweep(max int, _ int64) (int, error)  { return max, f.fail }
func (f *full) Flush(max int, _ int64) (int, error)  { return max, f.fail }

func (f *full) Keys(chunk *guest.KeyChunk, cursor, _ int64) (int64, error) {
	for ; cursor < int64(len(f.keys)); cursor++ {
		if !chunk.Add(f.keys[cursor]) {
			return cursor, f.fail
		}
	}
	return 0, f.fail
}

func (f *full) Snapshot(chunk *guest.RecordChunk, cursor, _ int64) (int64, error) {
	for ; cursor < int64(len(f.keys)); cursor++ {
		value := f.values[string(f.keys[cursor])]
		if cursor%2 == 0 {
			if !chunk.Add(f.keys[cursor], value, cursor) {
				return cursor, f.fail
			}
			continue
		}
		room, ok := chunk.AddRoom(f.keys[cursor], len(value), cursor)
		if !ok {
			return cursor, f.fail
		}
		copy(room, value)
	}
	return 0, f.fail
}

var info = guest.Info{Name: "test", Version: "0.1", MaxKey: 100, MaxValue: 200_000}

func opened(t testing.TB, engine guest.Engine, info guest.Info) *guest.Harness {
	h := guest.NewHarness(engine, info)
	require.NoError(t, h.Open())
	return h
}

func TestOperations(t *testing.T) {
	h := opened(t, new(plain), info)
	key, value := []byte("key"), []byte("value")
	_, err := h.Get(key, 1)
	require.ErrorIs(t, err, guest.ErrNotFound)
	require.NoError(t, h.Set(guest.Write{Key: key, Value: value, Now: 1}))
	got, err := h.Get(key, 1)
	require.NoError(t, err)
	require.Equal(t, value, got)
	require.NoError(t, h.Set(guest.Write{Key: key, Now: 1}))
	got, err = h.Get(key, 1)
	require.NoError(t, err, "an empty value is one")
	require.Empty(t, got)
	require.NoError(t, h.Delete(key, 1))
	require.NoError(t, h.Delete(key, 1), "deleting an absent record is no error")
	require.NoError(t, h.Save(1))
	require.NoError(t, h.Clear(1))
}

func TestCallsThatNeverReachTheEngine(t *testing.T) {
	engine := new(full)
	h := opened(t, engine, info)
	require.NoError(t, h.Set(guest.Write{Key: []byte("k"), Value: []byte("v"), Now: 1}))
	engine.fail = guest.Fail(guest.ErrDenied, "the engine was reached")
	long := make([]byte, 101)
	ignoringValue := func(_ []byte, err error) error { return err }
	require.ErrorIs(t, ignoringValue(h.Get(nil, 1)), guest.ErrInvalid)
	require.ErrorIs(t, ignoringValue(h.Get(long, 1)), guest.ErrNotFound)
	require.ErrorIs(t, h.Touch(long, 5, 1), guest.ErrNotFound)
	require.ErrorIs(t, h.Touch(nil, 5, 1), guest.ErrInvalid)
	require.NoError(t, h.Delete(long, 1))
	require.ErrorIs(t, h.Delete(nil, 1), guest.ErrInvalid)
	require.ErrorIs(t, h.Set(guest.Write{Key: nil}), guest.ErrInvalid)
	require.ErrorIs(t, h.Set(guest.Write{Key: long}), guest.ErrTooLarge)
	require.EqualError(t, h.Set(guest.Write{Key: []byte("k"), Value: make([]byte, 200_001)}),
		"guest: TOO_LARGE: the value is longer than the 200000 bytes that this engine takes")
	require.ErrorIs(t, h.Set(guest.Write{Key: []byte("k"), Value: make([]byte, 300_000)}), guest.ErrNoSpace)
	_, _, err := h.Keys(-1, 1)
	require.ErrorIs(t, err, guest.ErrInvalid)
	_, _, err = h.Snapshot(-1, 1)
	require.ErrorIs(t, err, guest.ErrInvalid)
	require.ErrorIs(t, h.Open(), guest.ErrInvalid, "opened a second time")

	unopened := guest.NewHarness(new(full), info)
	require.ErrorIs(t, ignoringValue(unopened.Get([]byte("k"), 1)), guest.ErrInvalid)
	require.ErrorIs(t, unopened.Set(guest.Write{Key: []byte("k")}), guest.ErrInvalid)
	require.ErrorIs(t, unopened.Delete([]byte("k"), 1), guest.ErrInvalid)
	require.ErrorIs(t, unopened.Touch([]byte("k"), 2, 1), guest.ErrInvalid)
	require.ErrorIs(t, unopened.Clear(1), guest.ErrInvalid)
	require.ErrorIs(t, unopened.Save(1), guest.ErrInvalid)
	require.ErrorIs(t, unopened.Restore(nil, 1), guest.ErrInvalid)
	_, err = unopened.Sweep(1, 1)
	require.ErrorIs(t, err, guest.ErrInvalid)
	_, err = unopened.Flush(1, 1)
	require.ErrorIs(t, err, guest.ErrInvalid)
}

func TestWhatAnEngineLacksIsUnsupported(t *testing.T) {
	h := opened(t, new(plain), info)
	require.ErrorIs(t, h.Touch([]byte("k"), 5, 1), guest.ErrUnsupported)
	_, err := h.Sweep(1, 1)
	require.ErrorIs(t, err, guest.ErrUnsupported)
	_, err = h.Flush(1, 1)
	require.ErrorIs(t, err, guest.ErrUnsupported)
	_, _, err = h.Keys(0, 1)
	require.ErrorIs(t, err, guest.ErrUnsupported)
	_, _, err = h.Snapshot(0, 1)
	require.ErrorIs(t, err, guest.ErrUnsupported)
	_, err = h.Stats()
	require.ErrorIs(t, err, guest.ErrUnsupported)
}

// counting is an engine that returns the counts it is given.
type counting struct {
	plain
	counts guest.Counts
}

func (c *counting) Count() guest.Counts { return c.counts }

func TestCounts(t *testing.T) {
	engine := new(counting)
	unopened := guest.NewHarness(engine, info)
	_, err := unopened.Stats()
	require.ErrorIs(t, err, guest.ErrInvalid)
	h := opened(t, engine, info)
	for want, counts := range map[string]guest.Counts{
		"records 0 bytes 0 evicted 0 expired 0 ":                   {},
		"records 7 bytes 800 evicted 2 expired 3 limit max_bytes ": {Records: 7, Bytes: 800, Evicted: 2, Expired: 3, Limit: "max_bytes"},
		"evicted 999999999999999999 expired 0 ":                    {Records: -1, Bytes: -1, Evicted: 1<<64 - 1},
	} {
		engine.counts = counts
		list, err := h.Stats()
		require.NoError(t, err)
		require.Equal(t, want, strings.ReplaceAll(string(list), "\x00", " "))
	}
}

func TestExpiredWriteOfAnEngineWithoutCAS(t *testing.T) {
	for _, cas := range []bool{false, true} {
		engine := new(plain)
		info := info
		info.CAS = cas
		h := opened(t, engine, info)
		require.NoError(t, h.Set(guest.Write{Key: []byte("k"), Now: 1}))
		require.NoError(t, h.Set(guest.Write{Key: []byte("k"), Expires: 5, Now: 5, Expect: 7}))
		if cas {
			require.Len(t, engine.writes, 2, "an engine that compares must see the write")
			require.True(t, engine.writes[1].Expired())
			require.EqualValues(t, 7, engine.writes[1].Expect)
		} else {
			require.Empty(t, engine.values, "an engine that does not compare is told to delete")
		}
	}
}

func TestErrorsBecomeCodes(t *testing.T) {
	custom := errors.New("disk on fire")
	tests := []struct {
		err  error
		want error
		text string
	}{
		{guest.ErrUnavailable, guest.ErrUnavailable, "guest: UNAVAILABLE"},
		{guest.ErrNotFound, guest.ErrNotFound, "guest: NOT_FOUND"},
		{guest.Fail(guest.ErrCorrupt, "bad checksum"), guest.ErrCorrupt, "guest: CORRUPT: bad checksum"},
		{fmt.Errorf("reading: %w", guest.ErrDenied), guest.ErrDenied, "guest: DENIED: reading: guest: DENIED"},
		{fmt.Errorf("%w and %w", custom, guest.ErrNoSpace), guest.ErrNoSpace, "guest: NO_SPACE: disk on fire and guest: NO_SPACE"},
		{custom, guest.ErrInternal, "guest: INTERNAL: disk on fire"},
		{guest.Fail(custom, "while reading"), guest.ErrInternal, "guest: INTERNAL: while reading"},
		{guest.Fail(guest.ErrInternal, strings.Repeat("x", 2000)), guest.ErrInternal, "guest: INTERNAL: " + strings.Repeat("x", abi.MaxMessage)},
	}
	for _, test := range tests {
		engine := new(full)
		h := opened(t, engine, info)
		engine.fail = test.err
		_, err := h.Get([]byte("k"), 1)
		require.EqualError(t, err, test.text)
		require.ErrorIs(t, err, test.want)
		require.ErrorIs(t, h.Set(guest.Write{Key: []byte("k")}), test.want)
		require.ErrorIs(t, h.Touch([]byte("k"), 2, 1), test.want)
		require.ErrorIs(t, h.Clear(1), test.want)
		require.ErrorIs(t, h.Save(1), test.want)
		_, err = h.Sweep(1, 1)
		require.ErrorIs(t, err, test.want)
		_, err = h.Flush(1, 1)
		require.ErrorIs(t, err, test.want)
		_, _, err = h.Keys(0, 1)
		require.ErrorIs(t, err, test.want)
		_, _, err = h.Snapshot(0, 1)
		require.ErrorIs(t, err, test.want)
	}
	require.ErrorIs(t, guest.Fail(custom, "m"), custom)
	require.EqualError(t, guest.Fail(guest.ErrInvalid, "m"), "guest: INVALID: m")
}

func TestWriteCheck(t *testing.T) {
	tests := []struct {
		expect int64
		stored []byte
		found  bool
		want   error
	}{
		{0, nil, false, nil},
		{0, []byte("12345678"), true, nil},
		{-1, nil, false, nil},
		{-1, nil, true, guest.ErrConflict},
		{5, nil, false, guest.ErrConflict},
		{5, []byte{5}, true, nil},
		{5, []byte{5, 0, 0, 0, 0, 0, 0, 0, 9}, true, nil},
		{5, []byte{5, 0, 0, 0, 0, 0, 0, 1}, true, guest.ErrConflict},
		{-2, []byte{254, 255, 255, 255, 255, 255, 255, 255}, true, nil}, // revisions are unsigned
	}
	for _, test := range tests {
		w := guest.Write{Expect: test.expect}
		require.Equal(t, test.want, w.Check(test.stored, test.found), "%+v", test)
	}
	require.True(t, guest.Expired(5, 5))
	require.False(t, guest.Expired(5, 4))
	require.False(t, guest.Expired(0, 4))
}

func TestEnumerationInChunks(t *testing.T) {
	engine := new(full)
	h := opened(t, engine, info)
	for n := range 2000 {
		key := fmt.Appendf(nil, "key %04d", n)
		engine.keys = append(engine.keys, key)
		size := n % 300
		if n%100 == 50 {
			size = 70_000 + n // more than a chunk usually holds
		}
		engine.values[string(key)] = bytes.Repeat([]byte{byte(n)}, size)
	}
	var keys [][]byte
	for cursor := int64(0); ; {
		chunk, next, err := h.Keys(cursor, 1)
		require.NoError(t, err)
		keys = append(keys, chunk...)
		if cursor = next; next == 0 {
			break
		}
	}
	require.Equal(t, engine.keys, keys)

	target := new(plain)
	restored := opened(t, target, info)
	chunks := 0
	for cursor := int64(0); ; chunks++ {
		list, next, err := h.Snapshot(cursor, 1)
		require.NoError(t, err)
		require.LessOrEqual(t, len(list), 100_000)
		require.NoError(t, restored.Restore(list, 1))
		if cursor = next; next == 0 {
			break
		}
	}
	require.Greater(t, chunks, 20)
	require.NotContains(t, target.values, "key 0001", "its expiry is 1, which has passed")
	require.Len(t, target.values, 1999)
	for key, value := range target.values {
		if !bytes.Equal(engine.values[key], value) {
			require.Fail(t, "another value was restored", key)
		}
	}
}

func TestRestoreRefusesWithoutEffect(t *testing.T) {
	good := abi.AppendRecord(nil, []byte("k"), []byte("v"), 0)
	tests := []struct {
		name string
		list []byte
		want error
	}{
		{"cut short", good[:len(good)-1], guest.ErrInvalid},
		{"cut in the header", append(bytes.Clone(good), 1, 2, 3), guest.ErrInvalid},
		{"no key", abi.AppendRecord(good, nil, []byte("v"), 0), guest.ErrInvalid},
		{"key too long", abi.AppendRecord(good, make([]byte, 101), nil, 0), guest.ErrTooLarge},
		{"value too long", abi.AppendRecord(good, []byte("x"), make([]byte, 200_001), 0), guest.ErrTooLarge},
	}
	for _, test := range tests {
		engine := new(plain)
		h := opened(t, engine, info)
		require.ErrorIs(t, h.Restore(test.list, 1), test.want, test.name)
		require.Empty(t, engine.writes, test.name)
		require.NoError(t, h.Restore(good, 1))
		require.Len(t, engine.writes, 1)
	}
}

func TestDescribe(t *testing.T) {
	info := info
	info.CAS = true
	h := guest.NewHarness(new(plain), info)
	require.Equal(t, "name\x00test\x00version\x000.1\x00capabilities\x00cas\x00max_key\x00100\x00max_value\x00200000\x00",
		string(h.Describe()))
	h = guest.NewHarness(new(plain), guest.Info{Name: "n"})
	require.Equal(t, "name\x00n\x00max_key\x001024\x00max_value\x0016777216\x00", string(h.Describe()))
	for _, c := range []struct {
		cas, reshard, remote bool
		capabilities         string
	}{
		{true, false, false, "cas"}, {false, true, false, "reshard"}, {true, true, false, "cas reshard"},
		{true, false, true, "cas remote"}, {true, true, true, "cas reshard remote"},
	} {
		h = guest.NewHarness(new(plain), guest.Info{Name: "n", CAS: c.cas, Reshard: c.reshard, Remote: c.remote})
		require.Contains(t, string(h.Describe()), "\x00capabilities\x00"+c.capabilities+"\x00")
	}
}

func ExampleShardOf() {
	fmt.Println(guest.ShardOf([]byte("key1"), 64), guest.ShardOf([]byte("key1"), 1024))
	// Output: 1 21
}

func TestInfoOutOfBounds(t *testing.T) {
	for _, info := range []guest.Info{
		{}, {Name: strings.Repeat("n", 65)}, {Name: "a\x00b"}, {Name: "n", Version: "1\x00"},
		{Name: "n", MaxKey: 63}, {Name: "n", MaxKey: 1025}, {Name: "n", MaxValue: 4095}, {Name: "n", MaxValue: 16<<20 + 1}, {Name: "n", Remote: true},
	} {
		require.Panics(t, func() { guest.NewHarness(new(plain), info) }, "%+v", info)
	}
	require.Panics(t, func() { guest.Register(nil, guest.Info{Name: "n"}) })
}

func TestLog(t *testing.T) {
	guest.Logged()
	guest.Log(guest.LevelWarn, "careful")
	guest.Log(guest.LevelInfo, strings.Repeat("x", 5000))
	require.Equal(t, []guest.Line{{Level: 4, Text: "careful"}, {Level: 0, Text: strings.Repeat("x", 4096)}}, guest.Logged())
	require.Empty(t, guest.Logged())
}

// A call must leave no garbage behind: an engine's memory may be full.
func TestDispatchAllocatesNothing(t *testing.T) {
	engine := new(plain)
	h := opened(t, engine, guest.Info{Name: "n", MaxValue: 5000})
	key, long := []byte("k"), make([]byte, 6000)
	require.NoError(t, h.Set(guest.Write{Key: key, Value: key, Now: 1}))
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		_, _ = h.Get(key, 1)
		_, _ = h.Get(key[:0], 1)
		_ = h.Delete(long, 1)
	})-2) // the harness wraps the one message in an error
}
