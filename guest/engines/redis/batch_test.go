package main

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

// batch makes operations together and returns their answers.
func batch(t *testing.T, h *guest.Harness, ops ...abi.BatchOp) (codes []abi.Code, bodies []string) {
	t.Helper()
	var list []byte
	for i := range ops {
		list = abi.AppendBatchOp(list, &ops[i])
	}
	results, err := h.Batch(list)
	require.NoError(t, err)
	for range ops {
		code, body, rest, ok := abi.NextBatchResult(results)
		require.True(t, ok)
		codes, bodies, results = append(codes, code), append(bodies, string(body)), rest
	}
	require.Empty(t, results)
	return codes, bodies
}

// TestBatchScriptsForgotten: a server forgets its scripts before a batch. The answers are
// in the order of the operations all the same.
func TestBatchScriptsForgotten(t *testing.T) {
	eachServer(t, func(t *testing.T, server *backend.Server) {
		h, _ := start(t, server.Addr())
		require.NoError(t, h.Set(set("warm", "text", 1, abi.ExpectAbsent)))
		require.NoError(t, h.Touch([]byte("warm"), now+hour, now))
		server.Do("SCRIPT", "FLUSH")
		var ops []abi.BatchOp
		for i := range 100 {
			key := fmt.Appendf(nil, "key %d", i)
			op := abi.BatchOp{Kind: abi.BatchGet, Key: key, Now: now}
			switch i % 4 {
			case 1:
				op = abi.BatchOp{Kind: abi.BatchSet, Key: key, Value: value(uint64(i), "text"), Now: now, Expect: abi.ExpectAbsent}
			case 2:
				op = abi.BatchOp{Kind: abi.BatchTouch, Key: []byte("warm"), Expires: now + hour, Now: now}
			case 3:
				op = abi.BatchOp{Kind: abi.BatchGet, Key: []byte("warm"), Now: now}
			}
			ops = append(ops, op)
		}
		codes, bodies := batch(t, h, ops...)
		for i := range ops {
			switch i % 4 {
			case 0:
				require.Equal(t, abi.NotFound, codes[i])
			case 1, 2:
				require.Zero(t, codes[i])
			case 3:
				require.Equal(t, string(value(1, "text")), bodies[i])
			}
		}
	})
}

// TestBatchLargeValues: what is too long to be read with others is left to the host, and
// what fits is there.
func TestBatchLargeValues(t *testing.T) {
	h, _ := start(t, anyServer(t).Addr())
	for i, size := range []int{mostInBatch, mostInBatch + 1, 1 << 20} {
		require.NoError(t, h.Set(guest.Write{Key: fmt.Appendf(nil, "%d", i), Value: make([]byte, size), Now: now}))
	}
	get := func(key string) abi.BatchOp { return abi.BatchOp{Kind: abi.BatchGet, Key: []byte(key), Now: now} }
	codes, bodies := batch(t, h, get("0"), get("1"), get("2"), get("absent"))
	require.Equal(t, []abi.Code{0, abi.Unsupported, abi.Unsupported, abi.NotFound}, codes)
	require.Len(t, bodies[0], mostInBatch)
	for i, size := range []int{mostInBatch, mostInBatch + 1, 1 << 20} {
		got, err := h.Get(fmt.Appendf(nil, "%d", i), now)
		require.NoError(t, err)
		require.True(t, bytes.Equal(got, make([]byte, size)))
	}
}

// TestBatchErrors: what is wrong with one operation says nothing of the others.
func TestBatchErrors(t *testing.T) {
	server := anyServer(t)
	h, e := start(t, server.Addr())
	server.Do("RPUSH", string(e.prefix)+"list", "x")
	set := func(key string, expect int64) abi.BatchOp {
		return abi.BatchOp{Kind: abi.BatchSet, Key: []byte(key), Value: value(5, "text"), Now: now, Expect: expect}
	}
	codes, bodies := batch(t, h,
		set("key", abi.ExpectAbsent),
		set("key", abi.ExpectAbsent),
		abi.BatchOp{Kind: abi.BatchGet, Key: []byte("list"), Now: now},
		set("key", 4),
		set("key", 5),
		abi.BatchOp{Kind: abi.BatchTouch, Key: []byte("absent"), Now: now},
		abi.BatchOp{Kind: abi.BatchDelete, Key: []byte("list"), Now: now},
		abi.BatchOp{Kind: abi.BatchGet, Key: []byte("list"), Now: now},
		abi.BatchOp{Kind: abi.BatchGet, Key: []byte("key"), Now: now},
	)
	require.Equal(t, []abi.Code{0, abi.Conflict, abi.Corrupt, abi.Conflict, 0, abi.NotFound, 0, abi.NotFound, 0}, codes)
	require.Equal(t, string(value(5, "text")), bodies[8])
}
