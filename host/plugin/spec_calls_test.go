package plugin_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// These tests hold the host around calls: without a buffer, past a deadline, within an
// enumeration.

// words returns a section as one line.
func words(t testing.TB, section int) string {
	return strings.Join(strings.Fields(specSection(t, section)), " ")
}

// TestSpecNoBuffer: without an exchange buffer the host makes no call, the answer is
// NO_SPACE, the instance lives on, and the next call asks again.
func TestSpecNoBuffer(t *testing.T) {
	require.Contains(t, words(t, sectionMemory), "whoever called gets NO_SPACE, for every operation, as if the guest had answered it")
	// The guest has a buffer of 8 KiB, and a switch in its memory that session_clear
	// turns off and session_save on.
	const off = 512
	set := func(n byte) []byte {
		return append(append([]byte{opI32Const}, sleb(off)...), opI32Const, n, 0x36, 2, 0 /* i32.store */)
	}
	m := specGuest(t)
	m.export(abi.ExportClear).body = append(set(1), m.export(abi.ExportClear).code()...)
	m.export(abi.ExportSave).body = append(set(0), m.export(abi.ExportSave).code()...)
	alloc := append([]byte{opLocalGet, 0, opI32Const}, sleb(8192)...)
	alloc = append(append(append(alloc, 0x4b /* i32.gt_u */, opI32Const), sleb(off)...), 0x28, 2, 0 /* i32.load */, 0x72 /* i32.or */)
	alloc = append(append(append(alloc, 0x04, typeI32 /* if */, opI32Const, 0, 0x05 /* else */, opI32Const), sleb(specBuffer)...), opEnd)
	m.export(abi.ExportAlloc).body = alloc
	p := open(t, m.bytes(), specConfigOf(nil))
	long := store.Write{Key: []byte("k"), Value: make([]byte, 10_000), Now: 1}
	small := store.Write{Key: []byte("k"), Value: make([]byte, 10), Now: 1}
	require.ErrorIs(t, p.Set(ctx, long), store.ErrNoSpace)
	require.NoError(t, p.Set(ctx, small), "the host asks again")

	require.NoError(t, p.Clear(ctx, 1))
	require.ErrorIs(t, p.Set(ctx, long), store.ErrNoSpace, "and takes the buffer with it")
	for _, name := range slices.Sorted(maps.Keys(specOperations)) {
		switch name {
		case "clear", "save", "sweep", "keys", "snapshot": // these need no buffer
			continue
		}
		err := specOperations[name](p)
		require.ErrorIs(t, err, store.ErrNoSpace, name)
		var answer *plugin.Error
		require.ErrorAs(t, err, &answer)
		require.Equal(t, abi.NoSpace, answer.Code)
		require.Contains(t, answer.Message, "no room for a buffer", name)
	}
	require.NoError(t, p.Save(ctx, 1))
	require.NoError(t, p.Set(ctx, small))
	require.Zero(t, p.Stats().Restarts)

	m.returns(abi.ExportAlloc, 0)
	m.export(abi.ExportAlloc).body = []byte{opI32Const, 0}
	_, err := plugin.Open(ctx, m.bytes(), specConfigOf(nil))
	require.ErrorIs(t, err, plugin.ErrOpen)
	require.ErrorIs(t, err, store.ErrNoSpace)

	require.Contains(t, words(t, sectionRequired), "at most 16 MiB and 128 KiB")
	require.Equal(t, 16<<20+128<<10, plugin.MaxBuffer)
}

// TestSpecDeadline: a call past its deadline ends with its instance, and a new instance
// follows. Other shards notice nothing.
func TestSpecDeadline(t *testing.T) {
	text := words(t, sectionLife)
	for _, says := range []string{"An instance can end at any point, within a call and between two", "the calls of steps 2 to 5 included",
		"no code of that instance runs again"} {
		require.Contains(t, text, says)
	}
	loop := []byte{0x03, 0x40, 0x0c, 0, opEnd} // loop br 0 end
	for _, name := range []string{abi.ExportGet, abi.ExportSet, abi.ExportDelete, abi.ExportClear, abi.ExportTouch, abi.ExportSweep} {
		m := specGuest(t)
		m.export(name).body = append(slices.Clone(loop), m.export(name).code()...)
		config := specConfigOf(nil)
		config.Trusted, config.Deadline, config.Shards, config.MemoryLimit = false, 50*time.Millisecond, 2, 128<<20
		p := open(t, m.bytes(), config)
		err := specOperations[strings.TrimPrefix(name, "session_")](p)
		require.ErrorIs(t, err, plugin.ErrDeadline, name)
		require.ErrorIs(t, err, store.ErrUnavailable, name)
	}
	for _, name := range []string{abi.ExportInitialize, abi.ExportDescribe, abi.ExportAlloc, abi.ExportOpen} {
		m := specGuest(t)
		m.export(name).body = append(slices.Clone(loop), m.export(name).code()...)
		config := specConfigOf(nil)
		config.Trusted, config.Deadline, config.OpenDeadline = false, 50*time.Millisecond, 50*time.Millisecond
		_, err := plugin.Open(ctx, m.bytes(), config)
		require.ErrorIs(t, err, plugin.ErrOpen, name)
		require.ErrorContains(t, err, "may run for 50ms", name)
	}
}

// TestSpecCursors: the host ends an enumeration that does not end by itself.
func TestSpecCursors(t *testing.T) {
	text := words(t, sectionOptional)
	require.Contains(t, text, "no cursor may come twice, and there may be at most 2²⁴ chunks")
	require.Equal(t, 1<<24, plugin.MaxChunks)
	chunk := func(cursor byte) []byte { return append([]byte{cursor}, make([]byte, 7)...) }
	m := specGuest(t)
	m.returns(abi.ExportKeys, abi.Pack(uint32(m.text(chunk(5))), 8))
	p := open(t, m.bytes(), specConfigOf(nil))
	var failed error
	for _, err := range p.Keys(ctx, 1) {
		failed = err
	}
	require.ErrorIs(t, failed, plugin.ErrProtocol)
	require.ErrorContains(t, failed, "comes again")
	require.Contains(t, text, "It may be empty before the end")
}

// TestSpecListsThatAreTooLong: lists of names and values, in both directions.
func TestSpecListsThatAreTooLong(t *testing.T) {
	most := specNumbers(t, `^(\d+) KiB`, specRow(t, sectionLimits, "a list of `session_describe`, `session_stats`")[1])[0] << 10
	for _, length := range []int{most, most + 1} {
		list := []byte(strings.Repeat("a\x00b\x00", most/4+1))[:length]
		m := specGuest(t)
		m.returns(abi.ExportDescribe, abi.Pack(uint32(m.text(list)), uint32(length)))
		m.export(abi.ExportAlloc).body = append([]byte{opI32Const}, sleb(1<<20)...)
		_, err := plugin.Open(ctx, m.bytes(), specConfigOf(nil))
		if length == most {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, plugin.ErrOpen)
			require.ErrorContains(t, err, "65537 bytes")
		}
	}
	most = specNumbers(t, `The list has at most (\d+) KiB`, specSection(t, sectionConfig))[0] << 10
	config := specConfigOf(nil)
	config.GuestConfig = map[string]string{"long": strings.Repeat("x", most-200)}
	open(t, specGuest(t).bytes(), config)
	config.GuestConfig["long"] = strings.Repeat("x", most)
	_, err := plugin.Open(ctx, specGuest(t).bytes(), config)
	require.ErrorIs(t, err, plugin.ErrConfig)
	require.ErrorContains(t, err, "GuestConfig is")
}

// TestSpecMessagesOfOtherCalls: a message belongs to one call, and to an operation.
func TestSpecMessagesOfOtherCalls(t *testing.T) {
	require.Contains(t, words(t, sectionImports), "so is one of `session_alloc` and `_initialize`")
	m := specGuest(t)
	fail := m.imported(specImport(t, abi.ImportFail))
	text := []byte("from elsewhere")
	says := append(append([]byte{opI32Const}, sleb(int64(m.text(text)))...), opI32Const, byte(len(text)), opCall, byte(fail))
	for _, name := range []string{abi.ExportInitialize, abi.ExportAlloc, abi.ExportClear} {
		m.export(name).body = append(slices.Clone(says), m.export(name).code()...)
	}
	m.returns(abi.ExportSet, int64(abi.Denied))
	p := open(t, m.bytes(), specConfigOf(nil))
	require.NoError(t, p.Clear(ctx, 1), "what succeeds has no message")
	var answer *plugin.Error
	require.True(t, errors.As(p.Set(ctx, store.Write{Key: []byte("k"), Value: make([]byte, 10_000), Now: 1}), &answer))
	require.Empty(t, answer.Message)
}
