package main

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

// TestRefusedWhenItIsSentAgain loses the answers to writes that are done. When they are sent
// again they are refused. DENIED would say that nothing has happened.
func TestRefusedWhenItIsSentAgain(t *testing.T) {
	server := backend.Redis(t, backend.RedisOptions{Password: "right"})
	p := backend.NewProxy(t, server.Addr())
	for name, write := range map[string]func(h *guest.Harness) error{
		"create": func(h *guest.Harness) error { return h.Set(set("new", "text", 1, abi.ExpectAbsent)) },
		"set if": func(h *guest.Harness) error { return h.Set(set("key", "more", 2, 1)) },
		"delete": func(h *guest.Harness) error { return h.Delete([]byte("key"), now) },
		"touch":  func(h *guest.Harness) error { return h.Touch([]byte("key"), now+2*hour, now) },
	} {
		t.Run(name, func(t *testing.T) {
			h, _ := start(t, p.Addr(), "password", "right")
			require.NoError(t, h.Set(set("key", "text", 1, abi.ExpectAny)))
			server.SetPassword("changed") // whoever is logged in stays so
			defer server.SetPassword("right")
			p.CutAfter(0, backend.ToClient)
			err := write(h)
			require.ErrorIs(t, err, guest.ErrUnavailable)
			require.ErrorContains(t, err, "may have been done")
			require.ErrorContains(t, err, "DENIED")
			_, err = h.Get([]byte("key"), now)
			require.ErrorIs(t, err, guest.ErrDenied)
			require.ErrorIs(t, write(h), guest.ErrDenied, "it was not sent before")
		})
	}
}
