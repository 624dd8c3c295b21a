package main

import (
	"crypto/sha1"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

// TestScriptsAreFound: EVALSHA names the scripts by their hash, which a module does not
// compute.
func TestScriptsAreFound(t *testing.T) {
	for _, s := range []script{conditional, touching} {
		sum := sha1.Sum([]byte(s.text))
		require.Equal(t, hex.EncodeToString(sum[:]), s.sha, "%s", s.text)
	}
	require.Zero(t, conditional.known&touching.known)
}

// TestForgottenScripts: a server that has forgotten its scripts is told them again, at
// any time.
func TestForgottenScripts(t *testing.T) {
	eachServer(t, func(t *testing.T, server *backend.Server) {
		h, _ := start(t, server.Addr())
		for revision := range uint64(3) {
			server.Do("SCRIPT", "FLUSH")
			expect := int64(revision)
			if revision == 0 {
				expect = -1
			}
			require.NoError(t, h.Set(set("key", "text", revision+1, expect)))
			server.Do("SCRIPT", "FLUSH")
			require.NoError(t, h.Touch([]byte("key"), now+2*hour, now))
		}
		got, err := h.Get([]byte("key"), now)
		require.NoError(t, err)
		require.Equal(t, value(3, "text"), got)
		require.ErrorIs(t, h.Set(set("key", "text", 9, 1)), guest.ErrConflict)
	})
}
