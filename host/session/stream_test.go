package session_test

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// TestServerSentEvents: the session is stored and the cookie sent before the
// first event. Save and the end of the stream store changes made during it. The
// stream notices a log-out elsewhere.
func TestServerSentEvents(t *testing.T) {
	overProtocols(t, func(t *testing.T, http2 bool) {
		next := make(chan struct{})
		s := newSite(t, http2, func(w http.ResponseWriter, r *http.Request) {
			s := session.From(r)
			require.NoError(t, s.Set("user", "ada"))
			w.Header().Set("Content-Type", "text/event-stream")
			for i := range 4 {
				_, err := fmt.Fprintf(w, "data: %d\n\n", i)
				require.NoError(t, err)
				require.NoError(t, http.NewResponseController(w).Flush())
				<-next
				switch i {
				case 0:
					require.NoError(t, s.Set("position", i))
					require.NoError(t, s.Save())
				case 1:
					require.ErrorIs(t, s.Renew(), session.ErrHeadersSent)
					require.ErrorIs(t, s.LogIn("ada", nil), session.ErrHeadersSent)
				case 2:
					_, err := session.NewKey[int]("position").Update(s, plusOne)
					require.ErrorIs(t, err, session.ErrGone)
				}
			}
			require.NoError(t, s.Set("late", true)) // in a session that no longer exists
		})
		resp, err := s.client.Get(s.url)
		require.NoError(t, err)
		defer resp.Body.Close()
		events := bufio.NewScanner(resp.Body)
		event := func() string {
			require.True(t, events.Scan())
			line := events.Text()
			require.True(t, events.Scan())
			return line
		}
		id := (&reply{Response: resp}).cookie().Value
		require.Equal(t, "data: 0", event())
		require.Equal(t, "ada", s.peek(id))
		next <- struct{}{}
		require.Equal(t, "data: 1", event())
		position, err := session.NewKey[int]("position").Get(s.manager.Session(ctx, id))
		require.NoError(t, err)
		require.Zero(t, position)
		require.NotContains(t, s.kinds(), session.EventFailed)
		next <- struct{}{}
		require.Equal(t, "data: 2", event())
		require.NoError(t, s.manager.Session(ctx, id).Destroy())
		next <- struct{}{}
		require.Equal(t, "data: 3", event())
		require.Equal(t, "text/event-stream", resp.Header.Get("Content-Type"))
		close(next)
		_, err = io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Empty(t, s.peek(id))
		gone := 0
		require.Eventually(t, func() bool {
			for _, e := range s.takeEvents() {
				if e.Kind == session.EventGone {
					gone++
				}
			}
			return gone == 2
		}, 1e10, 1e6, "somebody must hear of it")
	})
}

// TestWebSocket: a handshake according to RFC 6455, with a server that hijacks
// and writes the answer itself, as libraries do, and a client over a
// connection.
func TestWebSocket(t *testing.T) {
	for _, c := range []struct {
		name    string
		known   bool // the visitor has a session
		prepare func(s *session.Session) error
		refused bool // the connection cannot be taken over
		cookie  bool // the answer has a cookie
	}{
		{"of a known session", true, func(s *session.Session) error { _, err := s.Has("user"); return err }, false, false},
		{"with a change of a known one", true, func(s *session.Session) error { return s.Set("n", 1) }, false, false},
		{"of nobody", false, func(s *session.Session) error { _, err := s.Has("user"); return err }, false, false},
		{"with a new session, saved first", false, func(s *session.Session) error {
			if err := s.Set("user", "ada"); err != nil {
				return err
			}
			return s.Save()
		}, false, true},
		{"with a new session that nobody would hear of", false, func(s *session.Session) error { return s.Set("user", "ada") }, true, true},
		{"with a renewal, saved first", true, func(s *session.Session) error {
			if err := s.Renew(); err != nil {
				return err
			}
			return s.Save()
		}, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			done := make(chan struct{})
			s := newSite(t, false, func(w http.ResponseWriter, r *http.Request) {
				defer close(done)
				s := session.From(r)
				require.NoError(t, c.prepare(s))
				conn, rw, err := http.NewResponseController(w).Hijack()
				if c.refused {
					require.ErrorIs(t, err, session.ErrHeadersSent)
					http.Error(w, "try again", http.StatusServiceUnavailable)
					return
				}
				require.NoError(t, err)
				defer conn.Close()
				sum := sha1.Sum([]byte(r.Header.Get("Sec-Websocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
				w.Header().Set("Upgrade", "websocket")
				w.Header().Set("Connection", "Upgrade")
				w.Header().Set("Sec-Websocket-Accept", base64.StdEncoding.EncodeToString(sum[:]))
				_, _ = fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\n")
				require.NoError(t, w.Header().Write(rw))
				_, _ = fmt.Fprint(rw, "\r\n")
				require.NoError(t, rw.Flush())
				for {
					text, err := readFrame(rw)
					if err != nil {
						return
					}
					if exists, err := s.Exists(); err == nil && exists {
						require.NoError(t, s.Set("said", text))
						require.NoError(t, s.Save())
					}
					require.NoError(t, writeFrame(conn, text, false))
				}
			})
			id, header := "", "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
			if c.known {
				id = s.login("ada")
				header += "Cookie: session_id=" + id + "\r\n"
			}
			conn, br := s.dial(header)
			resp, err := http.ReadResponse(br, nil)
			require.NoError(t, err)
			cookie := (&reply{Response: resp}).cookie()
			require.Equal(t, c.cookie, cookie != nil)
			if cookie != nil {
				id = cookie.Value
				require.Equal(t, "ada", s.peek(id))
			}
			if c.refused {
				require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
				return
			}
			require.Equal(t, http.StatusSwitchingProtocols, resp.StatusCode)
			require.Equal(t, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", resp.Header.Get("Sec-Websocket-Accept"), "the example of the RFC")
			for _, text := range []string{"quack", strings.Repeat("q", 100), ""} {
				require.NoError(t, writeFrame(conn, text, true))
				back, err := readFrame(br)
				require.NoError(t, err)
				require.Equal(t, text, back)
				if id != "" {
					said, err := session.NewKey[string]("said").Get(s.manager.Session(ctx, id))
					require.NoError(t, err)
					require.Equal(t, text, said, "stored while the connection is open")
				}
			}
			conn.Close()
			<-done
			require.NotContains(t, s.kinds(), session.EventFailed)
		})
	}
}

// writeFrame writes a short text message. Clients mask theirs.
func writeFrame(w io.Writer, text string, masked bool) error {
	frame := []byte{0x81, byte(len(text))}
	payload := []byte(text)
	if masked {
		mask := [4]byte{1, 2, 3, 4}
		frame[1] |= 0x80
		frame = append(frame, mask[:]...)
		for i := range payload {
			payload[i] ^= mask[i%4]
		}
	}
	_, err := w.Write(append(frame, payload...))
	return err
}

func readFrame(r io.Reader) (string, error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return "", err
	}
	var mask [4]byte
	if head[1]&0x80 != 0 {
		if err := binary.Read(r, binary.BigEndian, &mask); err != nil {
			return "", err
		}
	}
	payload := make([]byte, head[1]&0x7f)
	if _, err := io.ReadFull(r, payload); err != nil {
		return "", err
	}
	for i := range payload {
		payload[i] ^= mask[i%4]
	}
	return string(payload), nil
}

// TestEarlyHintsThenTimedRenewal: an informational response is not the
// response, so the new id and later changes still go out.
func TestEarlyHintsThenTimedRenewal(t *testing.T) {
	overProtocols(t, func(t *testing.T, http2 bool) {
		s := newSite(t, http2, func(w http.ResponseWriter, r *http.Request) {
			look(session.From(r))
			w.Header().Set("Link", "</style.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			require.NoError(t, session.From(r).Set("n", 1))
			_, _ = io.WriteString(w, "x")
		}, renewing)
		id := s.login("ada")
		s.clock.Advance(every)
		got := s.get(id)
		require.NotEqual(t, id, got.cookie().Value)
		require.Equal(t, "ada", s.peek(got.cookie().Value))
	})
}

// TestTimedRenewalOfAStream: a response that takes hours gets its new id when
// it begins and never later.
func TestTimedRenewalOfAStream(t *testing.T) {
	var a *app
	h := func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r)
		look(s)
		_, _ = io.WriteString(w, "begun")
		a.clock.Advance(3 * every)
		require.NoError(t, s.Set("n", 1))
		require.NoError(t, s.Save())
	}
	a = newApp(t, store.NewMemory(), renewing)
	b := a.browser()
	b.set("user", "ada")
	id := b.id()
	b.serve(h)
	require.Equal(t, id, b.id())
	require.Len(t, b.values(), 2)
	require.NotEqual(t, id, b.id())
}
