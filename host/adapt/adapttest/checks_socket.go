package adapttest

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
)

func (b *bench) webSocket() {
	b.startNative(Options{})
	ctx, cancel := context.WithTimeout(context.Background(), b.patience)
	defer cancel()
	v := b.visitor()
	conn, resp, err := websocket.Dial(ctx, strings.Replace(v.url, "http", "ws", 1)+"/socket", nil)
	require.NoError(b, err)
	defer func() { _ = conn.CloseNow() }()
	require.Equal(b, http.StatusSwitchingProtocols, resp.StatusCode)
	cookie := sessionCookie(resp)
	require.NotNil(b, cookie, "the cookie of a session that began before the handshake's answer")
	v.cookie = cookie.Value
	v.requireStored("by a handshake")
	b.converses(v, func(message string) string {
		require.NoError(b, conn.Write(ctx, websocket.MessageText, []byte(message)))
		_, reply, err := conn.Read(ctx)
		require.NoError(b, err)
		return string(reply)
	})
	require.NoError(b, conn.Write(ctx, websocket.MessageText, []byte("enough")))
	_, _, err = conn.Read(ctx)
	require.Error(b, err, "the end of the connection")
	require.NoError(b, b.errorsOf(session.EventFailed))
}

// converses changes the session by messages, and ends it elsewhere.
func (b *bench) converses(v *visitor, ask func(message string) (reply string)) {
	require.Equal(b, "1 <nil>", ask("count"))
	v.requireVisits(1)
	require.Equal(b, "2", v.post("/count").body)
	require.Equal(b, "3 <nil>", ask("count"))
	require.Equal(b, "true <nil>", ask("alive"))
	elsewhere := *v
	require.Equal(b, "out", elsewhere.post("/log-out").body)
	require.Equal(b, "false <nil>", ask("alive"))
}

func (b *bench) hijacks() {
	b.startNative(Options{})
	dial := func(path string) (conn net.Conn, resp *http.Response, rest *bufio.Reader) {
		conn, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
		require.NoError(b, err)
		_, err = io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: example.com\r\n\r\n")
		require.NoError(b, err)
		rest = bufio.NewReader(conn)
		resp, err = http.ReadResponse(rest, nil)
		require.NoError(b, err)
		return conn, resp, rest
	}

	conn, resp, rest := dial("/hijack")
	defer conn.Close()
	v := b.visitor()
	require.Equal(b, http.StatusOK, resp.StatusCode)
	cookie := sessionCookie(resp)
	require.NotNil(b, cookie, "the cookie of a session that was saved before")
	v.cookie = cookie.Value
	v.requireStored("hijacked")
	b.converses(v, func(message string) string {
		_, err := io.WriteString(conn, message+"\n")
		require.NoError(b, err)
		line, err := rest.ReadString('\n')
		require.NoError(b, err)
		return strings.TrimSuffix(line, "\n")
	})
	require.NoError(b, b.errorsOf(session.EventFailed))

	conn, resp, _ = dial("/hijack-unsaved")
	defer conn.Close()
	require.Error(b, b.finding(), "a session whose cookie cannot be sent")
	require.GreaterOrEqual(b, resp.StatusCode, 400, "the response of a session whose cookie cannot be sent")
}
