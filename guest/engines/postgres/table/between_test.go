package table

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/postgres/client"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

// A write is done, its answer is lost, and before it is sent again another host has changed
// what it has written. That is no conflict: whoever took it for one would do it twice.
func TestWrittenInBetween(t *testing.T) {
	server := backend.SharedPostgres(t)
	key := []byte("k")
	set := func(revision uint64, expires, expect int64) guest.Write {
		return guest.Write{Key: key, Value: value(revision, "text"), Expires: expires, Now: now, Expect: expect}
	}
	for _, c := range []struct {
		name    string
		before  bool // revision 1 is stored
		write   guest.Write
		between func(other *Table) error // nil: nobody does anything
		want    error
	}{
		{"replace", true, set(2, 0, 1), nil, nil},
		{"replace, replaced", true, set(2, 0, 1), func(o *Table) error { return o.Set(set(3, 0, 2)) }, guest.ErrUnavailable},
		{"replace, removed", true, set(2, 0, 1), func(o *Table) error { return o.Delete(key) }, guest.ErrUnavailable},
		{"replace of another revision", true, set(2, 0, 9), nil, guest.ErrUnavailable},
		{"create", false, set(1, 0, -1), nil, nil},
		{"create, replaced", false, set(1, 0, -1), func(o *Table) error { return o.Set(set(2, 0, 1)) }, guest.ErrUnavailable},
		{"remove if", true, set(2, now-1, 1), nil, guest.ErrUnavailable},
		{"remove if, created", true, set(2, now-1, 1), func(o *Table) error { return o.Set(set(1, 0, -1)) }, nil},
		{"put", true, set(2, 0, 0), nil, guest.ErrUnavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := options(server.Addr())
			other := open(t, o)
			if c.before {
				require.NoError(t, other.Set(set(1, 0, 0)))
			}
			proxy := backend.NewProxy(t, server.Addr())
			login, dial, dials := *o.Client, o.Client.Dial, 0
			login.Dial = func(over, address string, until time.Time) (client.Link, error) {
				if dials++; dials == 2 {
					time.Sleep(100 * time.Millisecond) // the server may still be at it
					if c.between != nil {
						require.NoError(t, c.between(other))
					}
				}
				return dial(over, address, until)
			}
			o.Client, o.Addresses = &login, []string{proxy.Addr()}
			tab := open(t, o)
			proxy.CutAfter(0, backend.ToClient)
			require.ErrorIs(t, tab.Set(c.write), c.want)
			if c.write.Expect == 0 {
				got, err := other.Get(key, now)
				require.NoError(t, err)
				require.Equal(t, value(2, "text"), got, "it was done, and is not done again")
				require.Equal(t, 1, dials)
			}
		})
	}
}
