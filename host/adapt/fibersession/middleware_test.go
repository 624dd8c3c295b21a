package fibersession_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/cache"
	"github.com/gofiber/fiber/v3/middleware/compress"
	"github.com/gofiber/fiber/v3/middleware/etag"
	"github.com/gofiber/fiber/v3/middleware/recover"
	"github.com/gofiber/fiber/v3/middleware/timeout"
	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/adapt/fibersession"
	"github.com/waddle-sessions/waddle/host/session"
)

// TestPanic: a panic that passes through saves nothing. A session that was stored before
// stays, and its cookie goes out with the answer. If the recover middleware is inside, the
// panic is an error like others by the time it is seen.
func TestPanic(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name          string
		inside, saved bool
		handler       func(s *session.Session)
		want          string
	}{
		{"recover outside", false, false, func(s *session.Session) { name.Put(s, "ada") }, ""},
		{"recover outside, saved before", false, true, func(s *session.Session) {
			name.Put(s, "ada")
			if err := s.Save(); err != nil {
				panic(err)
			}
			name.Put(s, "grace")
		}, "ada"},
		{"recover inside", true, true, func(s *session.Session) { name.Put(s, "ada") }, "ada"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			if c.inside {
				s.App.Use(fibersession.New(s.Manager), recover.New())
			} else {
				s.App.Use(recover.New(), fibersession.New(s.Manager))
			}
			s.App.Get("/show", show)
			s.App.Get("/", func(fc fiber.Ctx) error {
				c.handler(fibersession.From(fc))
				panic("the handler's own")
			})
			v := s.open().visitor()
			answer := v.get("/")
			require.Equal(t, http.StatusInternalServerError, answer.StatusCode)
			require.Equal(t, c.saved, answer.cookie("session_id") != nil)
			require.Equal(t, c.want, v.get("/show").text)
		})
	}
}

// TestTimeoutInside: the answer to a time-out brings the cookie of what was changed by
// then. Later changes by the handler are not saved by themselves.
func TestTimeoutInside(t *testing.T) {
	t.Parallel()
	s := newSite(t).use()
	s.App.Get("/show", show)
	ended := make(chan error, 1)
	s.App.Get("/", timeout.New(func(c fiber.Ctx) error {
		own := fibersession.From(c)
		ctx := c.Context()
		name.Put(own, "ada")
		<-ctx.Done()
		for len(s.of(session.EventCreated)) == 0 { // until the answer is made
			time.Sleep(pause)
		}
		ended <- own.Renew()
		return nil
	}, timeout.Config{Timeout: 20 * time.Millisecond}))
	v := s.open().visitor()
	answer := v.get("/")
	require.Equal(t, fiber.StatusRequestTimeout, answer.StatusCode)
	require.NotNil(t, answer.cookie("session_id"))
	require.Equal(t, "Cookie", answer.Header.Get("Vary"))
	require.ErrorIs(t, <-ended, session.ErrHeadersSent)
	require.Equal(t, "ada", v.get("/show").text)
}

// TestTimeoutOutside: the answer has left without the session. Changes that need no
// cookie are saved, and the others are reported.
func TestTimeoutOutside(t *testing.T) {
	t.Parallel()
	for _, known := range []bool{true, false} {
		s := newSite(t)
		s.App.Use("/slow", timeout.New(func(c fiber.Ctx) error { return c.Next() }, timeout.Config{Timeout: 20 * time.Millisecond}))
		s.use()
		s.App.Get("/put", put)
		s.App.Get("/show", show)
		answered := make(chan bool)
		s.App.Get("/slow", func(c fiber.Ctx) error {
			own := fibersession.From(c)
			<-answered
			name.Put(own, "grace")
			return nil
		})
		v := s.open().visitor()
		if known {
			v.get("/put")
		}
		answer := v.get("/slow")
		require.Equal(t, fiber.StatusRequestTimeout, answer.StatusCode)
		require.Empty(t, answer.Cookies())
		close(answered)
		if known {
			require.Eventually(t, func() bool { return v.get("/show").text == "grace" }, wait, pause)
			continue
		}
		require.Eventually(t, func() bool { return len(s.of(session.EventFailed)) == 1 }, wait, pause)
		require.ErrorIs(t, s.of(session.EventFailed)[0].Err, session.ErrHeadersSent)
		require.Empty(t, s.of(session.EventCreated), "nobody would ever have its id")
	}
}

// TestCompression: a page is compressed inside and outside, and its Vary names both.
func TestCompression(t *testing.T) {
	t.Parallel()
	for _, inside := range []bool{true, false} {
		s := newSite(t)
		if inside {
			s.App.Use(fibersession.New(s.Manager), compress.New())
		} else {
			s.App.Use(compress.New(), fibersession.New(s.Manager))
		}
		page := strings.Repeat("a page worth its compression. ", 100)
		s.App.Get("/", func(c fiber.Ctx) error {
			name.Put(fibersession.From(c), "ada")
			return c.SendString(page)
		})
		answer := s.open().visitor().get("/") // net/http asks for gzip and unpacks it
		require.True(t, answer.Uncompressed)
		require.Equal(t, page, answer.text)
		require.NotNil(t, answer.cookie("session_id"))
		vary := strings.ReplaceAll(strings.Join(answer.Header["Vary"], ","), " ", "")
		require.ElementsMatch(t, []string{"Cookie", "Accept-Encoding"}, strings.Split(vary, ","))
	}
}

// TestETag: an answer that nothing has changed is one like others.
func TestETag(t *testing.T) {
	t.Parallel()
	for _, inside := range []bool{true, false} {
		s := newSite(t)
		if inside {
			s.App.Use(fibersession.New(s.Manager), etag.New())
		} else {
			s.App.Use(etag.New(), fibersession.New(s.Manager))
		}
		s.App.Get("/", func(c fiber.Ctx) error {
			name.Put(fibersession.From(c), "ada")
			return c.SendString("page")
		})
		v := s.open().visitor()
		tag := v.get("/").Header.Get("Etag")
		require.NotEmpty(t, tag)
		again := s.visitor().get("/", "If-None-Match: "+tag)
		require.Equal(t, http.StatusNotModified, again.StatusCode)
		require.NotNil(t, again.cookie("session_id"))
	}
}

// TestCache: a cache in the same app never gives one visitor's page to another.
func TestCache(t *testing.T) {
	t.Parallel()
	for _, inside := range []bool{false, true} {
		s := newSite(t)
		s.App.Use("/cached", cache.New(cache.Config{Expiration: time.Hour}))
		s.use()
		if inside {
			s.App.Use("/inside", cache.New(cache.Config{Expiration: time.Hour}))
		}
		s.App.Get("/put", put)
		for _, path := range []string{"/cached", "/cached/unused"} {
			s.App.Get(path, func(c fiber.Ctx) error {
				if path == "/cached" {
					return show(c)
				}
				return c.SendString("for all")
			})
		}
		ada, grace := s.open().visitor(), s.visitor()
		ada.get("/put?name=ada")
		grace.get("/put?name=grace")
		require.Equal(t, "ada", ada.get("/cached").text)
		require.Equal(t, "grace", grace.get("/cached").text)
		require.NotEqual(t, "hit", grace.get("/cached").Header.Get("X-Cache"))
		ada.get("/cached/unused")
		require.Equal(t, "hit", grace.get("/cached/unused").Header.Get("X-Cache"), "what depends on nobody may be kept")
	}
}

// TestRedirect: a redirect brings the cookie, and a flash message is shown once.
func TestRedirect(t *testing.T) {
	t.Parallel()
	s := newSite(t).use()
	s.App.Post("/", func(c fiber.Ctx) error {
		if err := notes.Add(fibersession.From(c), "saved"); err != nil {
			return err
		}
		return c.Redirect().To("/done")
	})
	s.App.Get("/done", func(c fiber.Ctx) error {
		shown, err := notes.PopAll(fibersession.From(c))
		if err != nil {
			return err
		}
		return c.SendString(strings.Join(shown, ","))
	})
	v := s.open().visitor()
	moved := v.send(http.MethodPost, "/", "")
	require.Equal(t, http.StatusSeeOther, moved.StatusCode)
	require.Equal(t, "/done", moved.Header.Get("Location"))
	require.NotNil(t, moved.cookie("session_id"))
	require.Equal(t, "saved", v.get("/done").text)
	require.Empty(t, v.get("/done").text)
}

// TestWriteError: a handler answers an error of its session as Settings.OnError does.
func TestWriteError(t *testing.T) {
	t.Parallel()
	s := newSite(t).use()
	s.App.Get("/", func(c fiber.Ctx) error {
		c.Set("X-Kept", "yes")
		c.Set("Etag", `"1"`)
		if err := c.SendString("half a page"); err != nil {
			return err
		}
		own := fibersession.From(c)
		name.Put(own, "ada")
		if !own.Check(session.ErrTooLarge) {
			return fibersession.WriteError(c, own.Err())
		}
		return errors.New("Check found nothing")
	})
	answer := s.open().visitor().get("/")
	require.Equal(t, http.StatusInsufficientStorage, answer.StatusCode)
	require.Equal(t, "yes", answer.Header.Get("X-Kept"))
	require.Empty(t, answer.Header.Get("Etag"))
	require.NotContains(t, answer.text, "page")
	require.Empty(t, answer.Cookies(), "after an error nothing is saved")
}

// TestFailureKept: the middleware answers for an error that Value or Put met.
func TestFailureKept(t *testing.T) {
	t.Parallel()
	for kind, c := range map[string]struct {
		take bool
		page string
		want int
	}{
		"not taken":           {false, "page", http.StatusInsufficientStorage},
		"taken and answered":  {true, "page", http.StatusOK},
		"taken, not answered": {true, "", http.StatusInsufficientStorage},
	} {
		s := newSite(t).use()
		s.App.Get("/", func(fc fiber.Ctx) error {
			own := fibersession.From(fc)
			own.Check(session.ErrTooLarge)
			if c.take {
				_ = own.Err()
			}
			return fc.SendString(c.page)
		})
		require.Equal(t, c.want, s.open().visitor().get("/").StatusCode, kind)
	}
}
