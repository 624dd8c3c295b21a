package adapttest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/waddle-sessions/waddle/host/session"
)

// The values that the routes keep in sessions.
var (
	value  = session.NewKey[string]("value")
	other  = session.NewKey[string]("other")
	visits = session.NewKey[int]("visits")
)

var errFault = errors.New("adapttest: a fault for tests")

// large is a page that is worth compressing.
var large = strings.Repeat("a page that is worth compressing\n", 2000)

// fileText is what the file of the route /file holds.
const fileText = "the text of a file\n"

func (b *bench) routes() []Route {
	const get, post = http.MethodGet, http.MethodPost
	return []Route{
		{get, "/bare", true, func(x Exchange) error { return x.Text(http.StatusOK, "bare") }},
		{get, "/untouched", false, func(x Exchange) error { return x.Text(http.StatusOK, "untouched") }},
		{get, "/get", false, func(x Exchange) error { return x.Text(http.StatusOK, value.Value(x.Session())) }},
		{get, "/who", false, who},
		{post, "/set", false, set},
		{post, "/count", false, count},
		{post, "/log-in", false, logIn},
		{post, "/log-out", false, logOut},
		{post, "/panic", false, panics},
		{get, "/fail", false, fail},
		{get, "/answer/text", false, answer(func(x Exchange) error { return x.Text(http.StatusAccepted, "text") })},
		{get, "/answer/json", false, answer(func(x Exchange) error { return x.JSON(http.StatusCreated, 1) })},
		{get, "/answer/empty", false, answer(func(x Exchange) error { return x.NoContent(http.StatusNoContent) })},
		{get, "/answer/redirect", false, answer(func(x Exchange) error { return x.Redirect(http.StatusSeeOther, "/get") })},
		{get, "/answer/file", false, answer(b.file)},
		{get, "/answer/nothing", false, answer(func(Exchange) error { return nil })},
		{get, "/large", false, answer(func(x Exchange) error { return x.Text(http.StatusOK, large) })},
		{get, "/stream", false, b.stream},
		{get, "/late", false, b.late},
		{get, "/events", false, b.eventStream},
		{get, "/socket", false, b.socket},
		{get, "/hijack", false, b.hijack},
		{get, "/hijack-unsaved", false, b.hijackUnsaved},
		{post, "/slow", false, b.slow},
		{get, "/proxy", false, b.proxy},
	}
}

func set(x Exchange) error {
	s := x.Session()
	if err := errors.Join(value.Set(s, x.Query("value")), other.Set(s, x.Query("value"))); err != nil {
		return err
	}
	return x.Text(http.StatusCreated, "set")
}

// count changes one value atomically and, for itself, another.
func count(x Exchange) error {
	s := x.Session()
	n, err := session.Increment(s, visits, 1)
	if err != nil {
		return err
	}
	if name := x.Query("name"); name != "" {
		if err := s.Set(name, n); err != nil {
			return err
		}
	}
	return x.Text(http.StatusOK, fmt.Sprint(n))
}

func who(x Exchange) error {
	user, err := x.Session().User()
	if err != nil {
		return err
	}
	return x.Text(http.StatusOK, user)
}

func logIn(x Exchange) error {
	if err := x.Session().LogIn(x.Query("user"), nil); err != nil {
		return err
	}
	return x.Text(http.StatusOK, "in")
}

func logOut(x Exchange) error {
	if err := x.Session().Destroy(); err != nil {
		return err
	}
	return x.Text(http.StatusOK, "out")
}

func panics(x Exchange) error {
	if err := value.Set(x.Session(), "of a panic"); err != nil {
		return err
	}
	panic(errFault)
}

// fail reads the session before it fails, so that a client may know of it.
func fail(x Exchange) error {
	if _, err := value.Get(x.Session()); err != nil {
		return err
	}
	return errFault
}

// answer changes the session before it answers.
func answer(how func(Exchange) error) func(Exchange) error {
	return func(x Exchange) error {
		if err := value.Set(x.Session(), "answered"); err != nil {
			return err
		}
		return how(x)
	}
}

func (b *bench) file(x Exchange) error {
	path := filepath.Join(b.test.TempDir(), "file.txt")
	if err := os.WriteFile(path, []byte(fileText), 0o600); err != nil {
		return err
	}
	return x.File(path)
}

// stream writes three chunks. Before each but the first it waits for the client.
func (b *bench) stream(x Exchange) error {
	s, ctx := x.Session(), x.Context()
	if err := value.Set(s, "streamed"); err != nil {
		return err
	}
	return x.Stream("text/plain; charset=utf-8", func(w io.Writer, flush func() error) error {
		for i := range 3 {
			if i > 0 {
				if err := b.wait(ctx); err != nil {
					return err
				}
				if _, err := session.Increment(s, visits, 1); err != nil {
					b.found <- err
					return err
				}
			}
			if _, err := fmt.Fprintf(w, "chunk %d\n", i); err != nil {
				return err
			}
			if err := flush(); err != nil {
				return err
			}
		}
		return nil
	})
}

// late looks at the session when the response has begun, and then begins one.
func (b *bench) late(x Exchange) error {
	s := x.Session()
	return x.Stream("text/plain; charset=utf-8", func(w io.Writer, flush func() error) error {
		if _, err := io.WriteString(w, "late\n"); err != nil {
			return err
		}
		if err := flush(); err != nil {
			return err
		}
		_, err := value.Get(s)
		b.found <- err
		err = value.Set(s, "late")
		if err == nil {
			err = s.Save()
		}
		b.found <- err
		return nil
	})
}

// eventStream sends an event for each step of the client, until the session has
// ended or the client has left.
func (b *bench) eventStream(x Exchange) error {
	s, ctx := x.Session(), x.Context()
	if _, err := s.User(); err != nil {
		return err
	}
	return x.Events(func(send func(name, data string) error) (err error) {
		defer func() { b.found <- err }() // the handler may have returned before
		for i := 0; ; i++ {
			alive, err := s.Alive()
			if err != nil {
				return err
			}
			if !alive {
				return send("end", "logged out")
			}
			if err := send("tick", fmt.Sprint(i)); err != nil {
				return err
			}
			if err := b.wait(ctx); err != nil {
				return err
			}
		}
	})
}

// socket begins a session with the handshake and answers messages.
func (b *bench) socket(x Exchange) error {
	s := x.Session()
	if err := value.Set(s, "by a handshake"); err != nil {
		return err
	}
	return x.WebSocket(func(c Socket) error { return converse(s, c.Read, c.Write) })
}

// converse answers messages until the client has enough.
func converse(s *session.Session, read func() (string, error), write func(string) error) error {
	for {
		message, err := read()
		if err != nil {
			return err
		}
		var reply string
		switch message {
		case "count":
			n, err := session.Increment(s, visits, 1)
			reply = fmt.Sprint(n, err)
		case "alive":
			alive, err := s.Alive()
			reply = fmt.Sprint(alive, err)
		default:
			return nil
		}
		if err := write(reply); err != nil {
			return err
		}
	}
}

// hijack saves the session, whose cookie is then among the headers.
func (b *bench) hijack(x Exchange) error {
	s := x.Session()
	if err := errors.Join(value.Set(s, "hijacked"), s.Save()); err != nil {
		return err
	}
	return x.Hijack(func(conn net.Conn, header http.Header) error {
		response := http.Response{StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Header: header, Close: true}
		if err := response.Write(conn); err != nil {
			return err
		}
		lines := newLines(conn)
		return converse(s, lines.read, lines.write)
	})
}

func (b *bench) hijackUnsaved(x Exchange) error {
	if err := value.Set(x.Session(), "unsaved"); err != nil {
		return err
	}
	err := x.Hijack(func(conn net.Conn, _ http.Header) error {
		_, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
		return err
	})
	b.found <- err
	return err
}

// slow takes as long as it may, and then fails.
func (b *bench) slow(x Exchange) error {
	s, ctx := x.Session(), x.Context()
	if err := errors.Join(value.Set(s, "slow"), other.Set(s, "slow")); err != nil {
		return err
	}
	err := errOver
	select {
	case <-ctx.Done():
		err = ctx.Err()
	case <-b.over:
	}
	b.found <- err
	return err
}

// proxy lets another server answer.
func (b *bench) proxy(x Exchange) error {
	if _, err := session.Increment(x.Session(), visits, 1); err != nil {
		return err
	}
	to, err := url.Parse(x.Query("to"))
	if err != nil {
		return err
	}
	return x.Proxy(to)
}
