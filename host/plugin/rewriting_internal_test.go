package plugin

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
)

// Code is shared, and found in a directory, only by those who would make the same of the
// module.
func TestRewritingIsPartOfTheKeyOfCode(t *testing.T) {
	host := NewHost(HostConfig{})
	defer host.Close(t.Context())
	codes, names := make(map[*code]bool), make(map[string]bool)
	options := []rewrite.Options{
		{}, {MergeData: true}, {Meter: true}, {MergeData: true, Meter: true},
		{Entry: "a"}, {Entry: "a b"}, {Entry: "a", MergeData: true}, {Movable: true}, {Movable: true, Meter: true},
	}
	for _, o := range options {
		key := codeKey{rewrite: o}
		codes[host.acquireCode(key)] = true
		names[key.name()] = true
		require.Same(t, host.acquireCode(key), host.acquireCode(key))
		require.True(t, strings.HasPrefix(key.name(), fmt.Sprintf("%x-", key.module)), "%s: as prune expects it", key.name())
	}
	require.Len(t, codes, len(options))
	require.Len(t, names, len(options))
}

// Every guest is rewritten, whoever wrote it.
func TestEveryGuestIsRewritten(t *testing.T) {
	for _, config := range []Config{{}, {Trusted: true}, {Trusted: true, DebugInfo: true}} {
		s, err := config.resolve("guest")
		require.NoError(t, err)
		require.True(t, s.rewriting().MergeData)
		require.Equal(t, contractNames, s.rewriting().Entry)
		require.Equal(t, !config.Trusted, s.rewriting().Meter, "untrusted guests are metered always")
	}
}

// What an export takes fits into the stack of a call.
func TestContractFitsTheEntry(t *testing.T) {
	most := 0
	for _, c := range contract {
		require.NotEmpty(t, c.name)
		most = max(most, len(c.want.Params))
	}
	require.Equal(t, maxParams, most)
	require.Len(t, strings.Fields(contractNames), len(contract))
}
