package session_test

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
)

// FuzzCodecs checks the decoders on any bytes: they do not panic, they take
// memory in proportion to the bytes, and what they read can be written and read
// again, or is refused when it is written.
func FuzzCodecs(f *testing.F) {
	for json, codec := range []session.Codec{session.CBOR, session.JSON} {
		plain, values := hostileValues(codec, 2000)
		f.Add(json == 1, plain)
		for _, data := range values {
			f.Add(json == 1, data)
		}
	}
	f.Fuzz(func(t *testing.T, json bool, data []byte) {
		codec := session.CBOR
		if json {
			codec = session.JSON
		}
		var v any
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := codec.Unmarshal(data, &v)
		_ = codec.Unmarshal(data, new(profile))
		_ = codec.Unmarshal(data, new(map[string][]string))
		runtime.ReadMemStats(&after)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20+400*len(data)))
		if err != nil {
			return
		}
		written, err := codec.Marshal(v)
		if err != nil {
			return
		}
		var again any
		require.NoError(t, codec.Unmarshal(written, &again), "%x", written)
	})
}
