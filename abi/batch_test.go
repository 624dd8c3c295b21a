package abi_test

import (
	"bytes"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
)

func TestBatchLists(t *testing.T) {
	ops := []abi.BatchOp{
		{Kind: abi.BatchGet, Key: []byte("k"), Value: []byte{}, Now: 5},
		{Kind: abi.BatchSet, Key: []byte("key"), Value: []byte("value"), Expires: math.MinInt64, Now: -1, Expect: abi.ExpectAbsent},
		{Kind: abi.BatchTouch, Key: bytes.Repeat([]byte("x"), abi.MaxKey), Value: []byte{}, Expires: math.MaxInt64},
	}
	var list []byte
	size := 0
	for i := range ops {
		list = abi.AppendBatchOp(list, &ops[i])
		size += abi.BatchOpSize(len(ops[i].Key), len(ops[i].Value))
	}
	require.Len(t, list, size)
	rest := list
	for i := range ops {
		var op abi.BatchOp
		var ok bool
		rest, ok = abi.NextBatchOp(rest, &op)
		require.True(t, ok)
		require.Equal(t, ops[i], op)
	}
	require.Empty(t, rest)
	for cut := range list {
		rest, count := list[:cut], 0
		for {
			var op abi.BatchOp
			next, ok := abi.NextBatchOp(rest, &op)
			if !ok {
				break
			}
			rest, count = next, count+1
		}
		require.Less(t, count, len(ops))
		whole := 0
		for i := range count {
			whole += abi.BatchOpSize(len(ops[i].Key), len(ops[i].Value))
		}
		require.Len(t, rest, cut-whole)
	}

	results := abi.AppendBatchResult(nil, 0, []byte("found"))
	results = abi.AppendBatchResult(results, abi.Unavailable, []byte("down"))
	code, body, rest, ok := abi.NextBatchResult(results)
	require.True(t, ok)
	require.Equal(t, abi.Code(0), code)
	require.Equal(t, "found", string(body))
	_, _, cut, ok := abi.NextBatchResult(rest[:len(rest)-1])
	require.False(t, ok)
	require.Len(t, cut, len(rest)-1)
	code, body, rest, ok = abi.NextBatchResult(rest)
	require.True(t, ok)
	require.Equal(t, abi.Unavailable, code)
	require.Equal(t, "down", string(body))
	require.Empty(t, rest)
}
