package session

import (
	"bytes"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// plainTypes returns pointers to a zero value of each plain type.
func plainTypes() []any {
	return []any{new(string), new(bool), new(float64), new(int), new(int64), new(int32), new(uint), new(uint64), new(uint32)}
}

// TestPlainIsWhatTheCodecWrites: what is written without the codec is what it writes.
func TestPlainIsWhatTheCodecWrites(t *testing.T) {
	tried := 0
	for _, v := range plainValues() {
		data, ok := encodePlain(v)
		want, err := CBOR.Marshal(v)
		require.NoError(t, err)
		if !ok {
			f, is := v.(*float64)
			require.True(t, is && (math.IsNaN(*f) || math.IsInf(*f, 0)), "%T", v)
			continue
		}
		tried++
		require.Equal(t, want, data, "%T", v)
		readsAsTheCodec(t, data)
	}
	require.Greater(t, tried, 100)
	_, ok := encodePlain(new([]string))
	require.False(t, ok)
}

func plainValues() (all []any) {
	for _, n := range []uint64{0, 1, 22, 23, 24, 25, 254, 255, 256, 257, 65534, 65535, 65536, 65537, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 1<<32 + 1, 1<<63 - 1, 1 << 63, 1<<64 - 1} {
		i, i64, i32, u, u32 := int(n), int64(n), int32(n), uint(n), uint32(n)
		ni, ni64, ni32 := -i, ^i64, -i32
		f, nf := float64(n), -float64(n)/3
		all = append(all, &i, &i64, &i32, &u, &n, &u32, &ni, &ni64, &ni32, &f, &nf)
	}
	for _, size := range []int{0, 1, 23, 24, 63, 64, 65, 255, 256, 65535, 65536} {
		for _, fill := range []string{"x", "\xff", "ä"} {
			text := string(bytes.Repeat([]byte(fill), size))
			all = append(all, &text)
		}
	}
	for _, f := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1), math.MaxFloat64, math.SmallestNonzeroFloat64} {
		all = append(all, &f)
	}
	yes, no := true, false
	return append(all, &yes, &no)
}

// FuzzPlainReadsAsTheCodec: what is read without the codec is what it reads.
func FuzzPlainReadsAsTheCodec(f *testing.F) {
	for _, v := range plainValues() {
		if data, err := CBOR.Marshal(v); err == nil && len(data) < 300 {
			f.Add(data)
			f.Add(append(data, 0))
			f.Add(data[:len(data)-1])
		}
	}
	for _, data := range []string{"\x18\x05", "\x19\x00\x05", "\x78\x01x", "\xc0\x61x", "\xf6", "\xf7", "\x41x", "\x7f\x61x\xff", "\xfa\x00\x00\x00\x00", "\x20", "\x3b\x80\x00\x00\x00\x00\x00\x00\x00", "\x80", "\xa0"} {
		f.Add([]byte(data))
	}
	f.Fuzz(func(t *testing.T, data []byte) { readsAsTheCodec(t, data) })
}

// readsAsTheCodec fails if data is read into any plain type as something else than the
// codec reads.
func readsAsTheCodec(t *testing.T, data []byte) {
	for i, v := range plainTypes() {
		for _, share := range []bool{false, true} {
			if !decodePlain(data, v, share) {
				continue
			}
			want := plainTypes()[i]
			if err := CBOR.Unmarshal(data, want); err != nil {
				t.Fatalf("%x into %T: %v by the codec", data, v, err)
			}
			if f, is := v.(*float64); is && math.IsNaN(*f) {
				require.True(t, math.IsNaN(*want.(*float64)), "%x", data)
				continue
			}
			require.Equal(t, want, v, "%x into %T", data, v)
		}
	}
}

// TestPlainIsRead: what the codec writes of these types is read without it.
func TestPlainIsRead(t *testing.T) {
	for _, v := range plainValues() {
		data, err := CBOR.Marshal(v)
		require.NoError(t, err)
		if _, plain := encodePlain(v); !plain {
			continue
		}
		read := 0
		for _, into := range plainTypes() {
			if decodePlain(data, into, false) {
				read++
			}
		}
		require.NotZero(t, read, "%T", v)
	}
}

// TestStringsKeepLittle: a string shares the memory of its session only where that keeps
// little more than the string in memory.
func TestStringsKeepLittle(t *testing.T) {
	for _, c := range []struct {
		values, text int
		shares       bool
	}{{sharesUpTo, 5, true}, {sharesUpTo + 1, 5, false}, {100_000, 49_000, false}, {100_000, 50_000, true}} {
		s := &Session{record: Record{Values: Values{all: make([]byte, c.values)}}}
		require.Equal(t, c.shares, s.shares(&stored{data: make([]byte, c.text)}), "%+v", c)
	}
	data, err := CBOR.Marshal("some text")
	require.NoError(t, err)
	var shared, own string
	require.True(t, decodePlain(data, &shared, true))
	require.True(t, decodePlain(data, &own, false))
	clear(data)
	require.NotEqual(t, "some text", shared)
	require.Equal(t, "some text", own)
}
