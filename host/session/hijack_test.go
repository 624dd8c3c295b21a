package session_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// dial sends a request by hand and returns the connection.
func (s *site) dial(header string) (net.Conn, *bufio.Reader) {
	s.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	require.NoError(s.t, err)
	s.t.Cleanup(func() { conn.Close() })
	_, err = fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\n%s\r\n", header)
	require.NoError(s.t, err)
	return conn, bufio.NewReader(conn)
}

func TestSwitchingProtocols(t *testing.T) {
	s := newSite(t, false, func(w http.ResponseWriter, r *http.Request) {
		require.NoError(t, session.From(r).Set("user", "ada"))
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "echo")
		w.WriteHeader(http.StatusSwitchingProtocols)
		conn, rw, err := http.NewResponseController(w).Hijack()
		require.NoError(t, err)
		defer conn.Close()
		line, err := rw.ReadString('\n')
		require.NoError(t, err)
		_, _ = io.WriteString(conn, line)
	})
	conn, br := s.dial("Connection: Upgrade\r\nUpgrade: echo\r\n")
	resp, err := http.ReadResponse(br, nil)
	require.NoError(t, err)
	require.Equal(t, 101, resp.StatusCode)
	require.Equal(t, "ada", s.peek((&reply{Response: resp}).cookie().Value))
	_, err = io.WriteString(conn, "quack\n")
	require.NoError(t, err)
	line, err := br.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "quack\n", line)
}

func TestHijack(t *testing.T) {
	answer := func(t *testing.T, w http.ResponseWriter) {
		conn, _, err := http.NewResponseController(w).Hijack()
		require.NoError(t, err)
		defer conn.Close()
		resp := http.Response{StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, Header: w.Header()}
		require.NoError(t, resp.Write(conn))
	}
	t.Run("saves the changes of a known session", func(t *testing.T) {
		s := newSite(t, false, func(w http.ResponseWriter, r *http.Request) {
			require.NoError(t, session.From(r).Set("user", "bob"))
			answer(t, w)
		})
		id := s.login("ada")
		_, br := s.dial("Cookie: session_id=" + id + "\r\n")
		_, err := http.ReadResponse(br, nil)
		require.NoError(t, err)
		require.Equal(t, "bob", s.peek(id))
	})
	t.Run("saves what is changed after it", func(t *testing.T) {
		done := make(chan struct{})
		s := newSite(t, false, nil)
		h := s.manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			answer(t, w)
			require.NoError(t, session.From(r).Set("user", "bob"))
		}))
		id := s.login("ada")
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer close(done)
			h.ServeHTTP(w, r)
		}))
		t.Cleanup(server.Close)
		s.url = server.URL
		s.dial("Cookie: session_id=" + id + "\r\n")
		<-done
		require.Equal(t, "bob", s.peek(id))
	})
	t.Run("refuses a new session, whose cookie would get lost", func(t *testing.T) {
		s := newSite(t, false, func(w http.ResponseWriter, r *http.Request) {
			require.NoError(t, session.From(r).Set("user", "ada"))
			_, _, err := http.NewResponseController(w).Hijack()
			require.ErrorIs(t, err, session.ErrHeadersSent)
			_, _ = io.WriteString(w, "not hijacked")
		})
		got := s.get()
		require.Equal(t, "not hijacked", got.body)
		require.Equal(t, "ada", s.peek(got.cookie().Value))
	})
	t.Run("leaves the cookie of a new one that was saved to the caller", func(t *testing.T) {
		s := newSite(t, false, func(w http.ResponseWriter, r *http.Request) {
			require.NoError(t, session.From(r).Set("user", "ada"))
			require.NoError(t, session.From(r).Save())
			answer(t, w)
		})
		_, br := s.dial("")
		resp, err := http.ReadResponse(br, nil)
		require.NoError(t, err)
		require.Equal(t, "ada", s.peek((&reply{Response: resp}).cookie().Value))
	})
	t.Run("that the server cannot do leaves the response as it was", func(t *testing.T) {
		s := newSite(t, true, func(w http.ResponseWriter, r *http.Request) {
			ok, err := session.From(r).Has("user")
			require.NoError(t, err)
			require.Equal(t, r.Header["Cookie"] != nil, ok)
			_, _, err = http.NewResponseController(w).Hijack()
			require.ErrorIs(t, err, http.ErrNotSupported)
			require.NoError(t, session.From(r).Set("user", "ada"))
			_, _ = io.WriteString(w, "not hijacked")
		})
		got := s.get()
		require.Equal(t, []string{"Cookie"}, got.Header["Vary"])
		require.NotNil(t, got.cookie())
		got = s.get(got.cookie().Value)
		require.Equal(t, []string{"Cookie"}, got.Header["Vary"])
	})
	t.Run("a storage that fails is told to the caller, and then answered", func(t *testing.T) {
		s := newSite(t, false, func(w http.ResponseWriter, r *http.Request) {
			require.NoError(t, session.From(r).Set("user", "bob"))
			_, _, err := http.NewResponseController(w).Hijack()
			require.ErrorIs(t, err, store.ErrUnavailable)
		})
		id := s.login("ada")
		s.store.fail(on("set", store.ErrUnavailable), nil)
		require.Equal(t, 503, s.get(id).StatusCode)
	})
}
