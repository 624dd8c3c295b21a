package resp_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest/engines/redis/resp"
)

// FuzzRead reads whatever a server may answer. A reply that is accepted is written
// again: it must be what arrived, byte for byte, in whatever pieces that came.
func FuzzRead(f *testing.F) {
	f.Fuzz(func(t *testing.T, answer string, piece uint8) {
		limits := resp.Limits{Bytes: 4096, Elements: 64, Depth: 4}
		read := func(piece int) (accepted string, last error) {
			w := answers(answer)
			w.piece = piece
			conn := resp.NewConn(w, limits)
			for {
				conn.Do("PING")
				r, err := conn.Read()
				if err != nil {
					require.Less(t, resp.Held(conn), 64<<10)
					return accepted, err
				}
				accepted += encode(&r)
			}
		}
		accepted, err := read(int(piece))
		// Both forms of null are read as one.
		require.True(t, strings.HasPrefix(strings.ReplaceAll(answer, "*-1\r\n", "$-1\r\n"), strings.ReplaceAll(accepted, "*-1\r\n", "$-1\r\n")), "%q is not what arrived", accepted)
		again, sameErr := read(0)
		require.Equal(t, accepted, again)
		require.ErrorIs(t, sameErr, err)
	})
}

// encode writes a reply as a server does.
func encode(r *resp.Reply) string {
	switch r.Kind {
	case resp.Null:
		return "$-1\r\n"
	case resp.Status:
		return "+" + string(r.Text) + "\r\n"
	case resp.Failed:
		return "-" + string(r.Text) + "\r\n"
	case resp.Int:
		return ":" + strconv.FormatInt(r.Int, 10) + "\r\n"
	case resp.Bulk:
		return "$" + strconv.Itoa(len(r.Text)) + "\r\n" + string(r.Text) + "\r\n"
	}
	var b strings.Builder
	b.WriteString("*" + strconv.Itoa(len(r.Elements)) + "\r\n")
	for i := range r.Elements {
		b.WriteString(encode(&r.Elements[i]))
	}
	return b.String()
}
