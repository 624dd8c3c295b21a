package fibersession_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/gofiber/fiber/v3"
	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/adapt/fibersession"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// TestLife: a visitor comes, is remembered, logs in and out.
func TestLife(t *testing.T) {
	for kind, open := range stores {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := newSiteOver(t, open(t), fiber.Config{}).use()
			s.App.Get("/none", func(c fiber.Ctx) error { return c.SendString("none") })
			s.App.Get("/put", put)
			s.App.Get("/show", show)
			s.App.Get("/login", func(c fiber.Ctx) error { return fibersession.From(c).LogIn("ada", nil) })
			s.App.Get("/logout", func(c fiber.Ctx) error { return fibersession.From(c).Destroy() })
			v := s.open().visitor()

			none := v.get("/none")
			require.Equal(t, "none", none.text)
			require.Empty(t, none.Header["Vary"])
			require.Empty(t, none.Header["Cache-Control"])
			require.Empty(t, none.Cookies())
			require.Zero(t, s.Store.Calls(), "a request that does not use its session calls no storage")

			first := v.get("/show")
			require.Empty(t, first.Cookies(), "a look begins no session")
			require.Equal(t, "Cookie", first.Header.Get("Vary"))
			require.Equal(t, "private", first.Header.Get("Cache-Control"))

			begun := v.get("/put?name=ada")
			require.Equal(t, "Cookie", begun.Header.Get("Vary"))
			require.Equal(t, "private, no-store", begun.Header.Get("Cache-Control"))
			require.Len(t, begun.Header["Set-Cookie"], 1)
			id := begun.cookie("session_id")
			require.True(t, id.HttpOnly)
			require.False(t, id.Secure, "the connection is plain")
			require.Equal(t, http.SameSiteLaxMode, id.SameSite)

			require.Equal(t, "ada", v.get("/show").text)
			require.Empty(t, v.get("/show").Cookies(), "the browser has it already")

			renewed := v.get("/login").cookie("session_id")
			require.NotNil(t, renewed)
			require.NotEqual(t, id.Value, renewed.Value)
			require.Equal(t, "ada", v.get("/show").text)

			gone := v.get("/logout").cookie("session_id")
			require.NotNil(t, gone)
			require.Negative(t, gone.MaxAge)
			require.Empty(t, v.get("/show").text)
		})
	}
}

// TestErrorHandler: an error that a handler returns is answered after the middleware.
// The session is saved once, and its cookie is in that answer.
func TestErrorHandler(t *testing.T) {
	t.Parallel()
	s := newSiteOver(t, stores["native"](t), fiber.Config{ErrorHandler: func(c fiber.Ctx, err error) error {
		var e *fiber.Error
		require.ErrorAs(t, err, &e)
		return c.Status(e.Code).SendString("sorry " + name.Value(fibersession.From(c)))
	}}).use()
	s.App.Get("/put", func(c fiber.Ctx) error {
		name.Put(fibersession.From(c), "ada")
		return fiber.NewError(fiber.StatusTeapot, "no coffee")
	})
	s.App.Get("/fails", func(fiber.Ctx) error { return fiber.ErrBadGateway })
	v := s.open().visitor()

	answer := v.get("/put")
	require.Equal(t, fiber.StatusTeapot, answer.StatusCode)
	require.Equal(t, "sorry ada", answer.text)
	require.Len(t, answer.Header["Set-Cookie"], 1)
	require.Equal(t, "private, no-store", answer.Header.Get("Cache-Control"))
	require.Len(t, s.of(session.EventCreated), 1)

	for _, path := range []string{"/fails", "/missing"} {
		page := v.get(path)
		require.Equal(t, "sorry ada", page.text, "the page for an error shows the session, though nobody looked before: %s", path)
		require.Equal(t, "Cookie", page.Header.Get("Vary"))
		require.Equal(t, "private", page.Header.Get("Cache-Control"))
	}
	require.Empty(t, s.of(session.EventFailed))
}

// TestErrorHandlerChanges: what an ErrorHandler changes is saved if it needs no cookie,
// and otherwise fails where somebody sees it.
func TestErrorHandlerChanges(t *testing.T) {
	t.Parallel()
	s := newSiteOver(t, stores["native"](t), fiber.Config{ErrorHandler: func(c fiber.Ctx, _ error) error {
		name.Put(fibersession.From(c), "grace")
		return c.SendStatus(fiber.StatusBadGateway)
	}}).use()
	s.App.Get("/put", put)
	s.App.Get("/show", show)
	s.App.Get("/fails", func(fiber.Ctx) error { return errors.New("no") })
	s.open()

	known := s.visitor()
	known.get("/put")
	known.get("/fails")
	require.Equal(t, "grace", known.get("/show").text)
	require.Empty(t, s.of(session.EventFailed))

	fresh := s.visitor().get("/fails")
	require.Equal(t, fiber.StatusBadGateway, fresh.StatusCode)
	require.Empty(t, fresh.Cookies())
	require.Eventually(t, func() bool { return len(s.of(session.EventFailed)) == 1 }, wait, pause)
	require.ErrorIs(t, s.of(session.EventFailed)[0].Err, session.ErrHeadersSent)
}

// TestStorageFails: Settings.OnError answers in place of the handler, whatever it has
// prepared.
func TestStorageFails(t *testing.T) {
	t.Parallel()
	for kind, serve := range map[string]fiber.Handler{
		"body":     func(c fiber.Ctx) error { return c.SendString("ada's secrets") },
		"redirect": func(c fiber.Ctx) error { return c.Redirect().To("/elsewhere") },
		"error":    func(fiber.Ctx) error { return fiber.ErrTeapot },
		"stream":   stream("ada's secrets"),
		"upgrade":  upgrade(nil),
		"nothing":  func(fiber.Ctx) error { return nil },
	} {
		t.Run(kind, func(t *testing.T) {
			s := newSite(t).use()
			s.App.Get("/", func(c fiber.Ctx) error {
				name.Put(fibersession.From(c), "ada")
				c.Set("X-Kept", "yes")
				c.Set("Etag", `"1"`)
				c.Set("Cache-Control", "public, max-age=60")
				c.Cookie(&fiber.Cookie{Name: "other", Value: "1"})
				return serve(c)
			})
			v := s.open().visitor()
			s.Store.Fail(store.ErrUnavailable)

			answer := v.get("/")
			require.Equal(t, http.StatusServiceUnavailable, answer.StatusCode)
			require.Equal(t, "The session storage is not available. Please try again.\n", answer.text)
			require.NotEmpty(t, answer.Header.Get("Retry-After"))
			require.Equal(t, "text/plain; charset=utf-8", answer.Header.Get("Content-Type"))
			require.Equal(t, "no-store", answer.Header.Get("Cache-Control"))
			require.Equal(t, "yes", answer.Header.Get("X-Kept"))
			require.Empty(t, answer.Header.Get("Etag"))
			require.Empty(t, answer.Header.Get("Location"))
			require.NotNil(t, answer.cookie("other"))
			require.Nil(t, answer.cookie("session_id"))
			require.Len(t, s.of(session.EventUnavailable), 1)
			require.Equal(t, http.StatusServiceUnavailable, v.get("/").StatusCode, "the connection still speaks HTTP")
		})
	}
}
