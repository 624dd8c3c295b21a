package folder

import (
	"bytes"
	"encoding/hex"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
)

func encode(key, value []byte, expires int64, sequence uint64) []byte {
	b := appendHeader(nil, key, value, expires, sequence)
	return append(append(b, key...), value...)
}

func TestRecord(t *testing.T) {
	for _, c := range []struct {
		key, value int
		expires    int64
	}{{1, 0, 0}, {32, 8, 1}, {1024, 300, 1 << 62}, {5, abi.MaxValue, -1}} {
		key, value := bytes.Repeat([]byte{'k'}, c.key), bytes.Repeat([]byte{'v'}, c.value)
		b := encode(key, value, c.expires, 1<<63)
		require.Len(t, b, headerSize+c.key+c.value)
		r, err := parseRecord(b)
		require.NoError(t, err)
		require.Equal(t, c.expires, r.expires)
		require.Equal(t, uint64(1<<63), r.sequence)
		require.True(t, bytes.Equal(key, r.key) && bytes.Equal(value, r.value))
		h, err := parseHeader(b[:headerSize])
		require.NoError(t, err, "the header is enough")
		require.Equal(t, r.header, h)
		_, err = parseRecord(append(b, 0))
		require.NoError(t, err, "what follows does not matter")
		_, err = parseRecord(b[:len(b)-1])
		require.Error(t, err)
		_, err = parseHeader(b[:headerSize-1])
		require.ErrorIs(t, err, errDamagedHeader)
		for at := range min(len(b)-1, 2048) {
			b[at] ^= 1 << (at % 8)
			_, err = parseRecord(b)
			require.Error(t, err, "a bit of byte %d", at)
			b[at] ^= 1 << (at % 8)
		}
	}
}

// The engine's README shows the bytes of a record.
func TestReadmeShowsARecord(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	var dump string
	for _, line := range regexp.MustCompile(`(?m)^00000\d\d ((?:[0-9a-f]{2} ){16})`).FindAllSubmatch(readme, -1) {
		dump += string(line[1])
	}
	b, err := hex.DecodeString(strings.ReplaceAll(dump, " ", ""))
	require.NoError(t, err)
	require.Len(t, b, 64)
	r, err := parseRecord(b)
	require.NoError(t, err)
	require.Equal(t, []byte("abc"), r.key)
	require.Equal(t, uint64(1), r.revision())
	require.Equal(t, b[:r.size()], encode([]byte("abc"), []byte("\x01\x00\x00\x00\x00\x00\x00\x00hello"), r.expires, 1))
}

func TestID(t *testing.T) {
	p := paths{live: "sessions-0"}
	i := idOf([]byte("abc")) // ba7816bf 8f01cfea 414140de 5dae2223 …
	const want = "sessions-0/ba/7/ba7816bf8f01cfea414140de5dae2223"
	require.Equal(t, want, p.folder(i))
	require.Equal(t, want+"/session", p.file(i, sessionName))
	require.Equal(t, "sessions-0/ba/7", p.leaf(i.leaf()))
	require.Equal(t, "sessions-0/ba", p.top(i.leaf()>>4))
	parsed, ok := parseID("ba7816bf8f01cfea414140de5dae2223")
	require.True(t, ok)
	require.Equal(t, i, parsed)
	for _, bad := range []string{"", "ba", "BA7816bf8f01cfea414140de5dae2223", "ga7816bf8f01cfea414140de5dae2223", "ba7816bf8f01cfea414140de5dae22231"} {
		_, ok := parseID(bad)
		require.False(t, ok, bad)
	}
	require.Equal(t, i.leaf(), leafOf(i.prefix()))
	require.LessOrEqual(t, firstIn(i.leaf()), i.prefix())
}

func FuzzRecord(f *testing.F) {
	f.Add(encode([]byte("key"), []byte("revision and value"), 5, 6))
	f.Add(encode([]byte("k"), nil, 0, 0))
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRecord(b)
		if err != nil {
			require.True(t, isDamage(err))
			return
		}
		// A record that is accepted is one, to the last bit.
		require.Equal(t, b[:r.size()], encode(r.key, r.value, r.expires, r.sequence))
	})
}

// FuzzSlots: the result is the newest whole record of a file, or the file is
// damaged.
func FuzzSlots(f *testing.F) {
	f.Add(encode([]byte("key"), []byte("first"), 5, 6), encode([]byte("key"), []byte("second"), 5, 7), []byte{})
	f.Add([]byte{}, []byte{}, []byte{})
	f.Add([]byte{1}, encode([]byte("key"), []byte("first"), 5, 6)[:45], []byte(magic))
	f.Fuzz(func(t *testing.T, first, second, third []byte) {
		b := make([]byte, leastFile)
		var newest *record
		for slot, piece := range [][]byte{first, second, third} {
			in := b[slot*leastSlot : (slot+1)*leastSlot]
			copy(in, piece)
			if r, err := parseRecord(in); err == nil && (newest == nil || r.sequence > newest.sequence) {
				newest = &r
			}
		}
		c, err := parseSlots(b)
		if newest == nil {
			require.True(t, err == errNoRecord || isDamage(err))
			return
		}
		require.NoError(t, err)
		require.Equal(t, *newest, c.record)
		require.NotZero(t, c.used&(1<<c.slot))
	})
}

// A damaged entry of the list is ignored, and no other.
func TestListLeavesOutDamaged(t *testing.T) {
	first, second, third := idOf([]byte("a")), idOf([]byte("b")), idOf([]byte("c"))
	whole := appendListEntry(appendListEntry(appendListEntry(nil, first, false), second, true), third, false)
	for at := listEntrySize; at < 2*listEntrySize; at++ {
		b := bytes.Clone(whole)
		b[at] ^= 1 << (at % 8)
		pending := make(map[id]entry)
		parseList(b, pending)
		require.Len(t, pending, 2, "a bit of byte %d", at)
		require.Contains(t, pending, first)
		require.Contains(t, pending, third)
	}
}

func FuzzList(f *testing.F) {
	f.Add(appendListEntry(nil, idOf([]byte("key")), false))
	f.Add(append(appendListEntry(appendListEntry(nil, idOf([]byte("a")), true), idOf([]byte("b")), false), 1, 2, 3))
	f.Add(make([]byte, 3*listEntrySize))
	f.Fuzz(func(t *testing.T, b []byte) {
		pending := make(map[id]entry)
		parseList(b, pending)
		require.LessOrEqual(t, len(pending), len(b)/listEntrySize)
		var again []byte
		for i, e := range pending {
			require.Equal(t, unknown, e.state)
			again = appendListEntry(again, i, e.spare != spareSync)
		}
		second := make(map[id]entry)
		parseList(again, second)
		require.Equal(t, pending, second)
	})
}
