package network

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A server may make TLS answer, and read no answers: what is put aside is bounded, and the
// connection then fails.
func TestAnswersOfTLSAreBounded(t *testing.T) {
	n, err := New(Config{})
	require.NoError(t, err)
	defer n.Close()
	c := newConn(n.Open(), target{})
	p := make([]byte, 100)
	put := 0
	for range 10_000 {
		m, err := c.putAside(p)
		put += m
		if err != nil {
			require.ErrorIs(t, err, errStuck)
			require.Greater(t, put, 2*maxOut-len(p)-1)
			require.LessOrEqual(t, put, 2*maxOut)
			require.Equal(t, "the other side reads nothing", failed(err).words)
			return
		}
	}
	require.Fail(t, "no bound")
}
