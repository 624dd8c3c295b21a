package session

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"iter"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/store"
)

func sample(t testing.TB) Record {
	t.Helper()
	values := makeValues(func(yield func(string, []byte) bool) {
		_ = yield("user", []byte{0x63, 'a', 'd', 'a'}) && yield("n", nil)
	})
	return Record{
		Revision: 5, Codec: 1, Created: 1000, Saved: 2000, LastSeen: 3000, Issued: 4000, Expires: 9000, CookieUntil: 8000,
		Lifetime: 7000, Fixed: true, Persistence: Persist, Transport: TransportHeader, State: RecordMoved, Values: values,
	}
}

// TestRecordForm holds the stored form fixed: the next release must read the
// records of an older one.
func TestRecordForm(t *testing.T) {
	r := sample(t)
	require.Equal(t, ""+
		"0500000000000000"+ // revision
		"01"+"01"+"4d"+"00"+ // form, codec, flags, reserved
		"02000000"+ // values
		"e803000000000000"+ // created
		"d007000000000000"+ // saved
		"b80b000000000000"+ // seen
		"a00f000000000000"+ // issued
		"2823000000000000"+ // expires
		"401f000000000000"+ // cookie until
		"581b000000000000"+ // lifetime
		"04"+"75736572"+"04"+"63616461"+ // user
		"01"+"6e"+"00", // n
		hex.EncodeToString(r.encode()))
	got, err := decodeRecord(r.encode())
	require.NoError(t, err)
	require.Equal(t, r, got)
}

// TestRecordWithTimeouts: only a session with its own timeouts is longer.
func TestRecordWithTimeouts(t *testing.T) {
	plain := sample(t)
	size := len(plain.encode())
	for _, own := range [][2]int64{{1, 0}, {0, 1}, {timeoutNone, timeoutNone}, {1800_000, timeoutNone}, {1 << 40, 1 << 41}} {
		r := plain
		r.IdleTimeout, r.AbsoluteTimeout = store.Millis(own[0]), store.Millis(own[1])
		b := r.encode()
		require.Len(t, b, size+16)
		require.Equal(t, byte(0x4d|0x80), b[10])
		got, err := decodeRecord(b)
		require.NoError(t, err)
		require.Equal(t, r, got)
		var o overlay
		r.setValues(&o, r.Values)
		require.Equal(t, b, r.encode(), "with room")
	}
	for _, c := range []struct {
		idle, absolute int64
		cut            int
	}{{0, 0, 0}, {-2, 0, 0}, {0, -2, 0}, {-1 << 63, 1, 0}, {1, 1, 1}, {1, 1, 16}} {
		r := plain
		r.Values, r.IdleTimeout, r.AbsoluteTimeout = Values{}, 1, 1
		b := r.encode()
		binary.LittleEndian.PutUint64(b[72:], uint64(c.idle))
		binary.LittleEndian.PutUint64(b[80:], uint64(c.absolute))
		_, err := decodeRecord(b[:len(b)-c.cut])
		require.ErrorIs(t, err, ErrDecode, "%v", c)
	}
}

// TestRecordWithRoom: a commit writes the header into the room before the
// values, and the result is the same record.
func TestRecordWithRoom(t *testing.T) {
	r := sample(t)
	want := r.encode()
	var o overlay
	r.setValues(&o, r.Values)
	require.True(t, r.fresh)
	require.Equal(t, want, r.encode())
}

// FuzzRecord: no bytes lead to a panic or to more memory than their length. A
// record that can be read is written again unchanged.
func FuzzRecord(f *testing.F) {
	r := sample(f)
	f.Add(r.encode())
	f.Add(r.encode()[:recordHeader])
	f.Add(append(r.encode()[:recordHeader], 0xff, 0xff, 0xff))
	f.Add(append(r.encode()[:recordHeader+2], bytes.Repeat([]byte{0xff}, 12)...))
	f.Add([]byte{})
	r.IdleTimeout, r.AbsoluteTimeout = timeoutNone, 1
	f.Add(r.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRecord(b)
		if err != nil {
			require.ErrorIs(t, err, ErrDecode)
			return
		}
		require.Equal(t, b, r.encode())
		count, size := 0, 0
		for key, value := range r.Values.All() {
			require.NotEmpty(t, key)
			require.LessOrEqual(t, len(key), MaxKey)
			got, ok := r.Values.lookup(key)
			require.True(t, ok)
			require.LessOrEqual(t, len(got), len(b))
			count++
			size += len(key) + len(value)
		}
		require.EqualValues(t, r.Values.n, count)
		require.LessOrEqual(t, size, len(b))

		// Applying changes to it gives values that can be read.
		var o overlay
		o.set("set", []byte("x"))
		o.delete("removed", r.Values)
		v := o.apply(recordHeader, r.Values)
		require.Len(t, v.all, recordHeader+len(v.Bytes()))
		again, err := ParseValues(v.Bytes())
		require.NoError(t, err)
		require.Equal(t, v.n, again.n)
		got, ok := again.lookup("set")
		require.True(t, ok)
		require.Equal(t, "x", string(got))
		_, ok = again.lookup("removed")
		require.False(t, ok)
	})
}

// FuzzValues does the same for the form that an application's RecordStore
// public ids.
func FuzzValues(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{1, 'a', 1, 'x', 1, 'b', 0})
	f.Add([]byte{1, 'a', 0x81, 0x00, 'x'}) // a length in a longer form than needed
	f.Add([]byte{1, 'a', 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Add([]byte{0, 0})
	f.Fuzz(func(t *testing.T, block []byte) {
		v, err := ParseValues(block)
		if err != nil {
			require.ErrorIs(t, err, ErrDecode)
			return
		}
		require.Equal(t, block, v.Bytes())
		made := makeValues(v.All())
		for key, value := range made.All() {
			_, ok := v.lookup(key)
			require.True(t, ok)
			got, _ := made.lookup(key)
			require.Equal(t, value, got)
		}
		require.LessOrEqual(t, made.n, v.n)
	})
}

// makeValues makes values from names and their contents.
func makeValues(pairs iter.Seq2[string, []byte]) Values {
	var o overlay
	for key, value := range pairs {
		o.set(key, value)
	}
	v := o.apply(0, Values{})
	return v
}

func decodeRecord(b []byte) (r Record, err error) {
	err = r.decode(b)
	return r, err
}
