package fibersession_test

import (
	"testing"

	"github.com/gofiber/fiber/v3"
	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/adapt/fibersession"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/session/sessiontest"
)

// TestSameManagerTwice: there is one session and one cookie.
func TestSameManagerTwice(t *testing.T) {
	t.Parallel()
	s := newSite(t).use()
	group := s.App.Group("/group", fibersession.New(s.Manager))
	var outside *session.Session
	group.Use(func(c fiber.Ctx) error { outside = fibersession.From(c); return c.Next() }, fibersession.New(s.Manager))
	group.Get("/put", func(c fiber.Ctx) error {
		require.Same(t, outside, fibersession.From(c))
		if c.Query("again") == "" {
			c.Request().URI().SetQueryString("again=1")
			return c.RestartRouting()
		}
		return put(c)
	})
	require.Len(t, s.open().visitor().get("/group/put").Header["Set-Cookie"], 1)
	require.Len(t, s.of(session.EventCreated), 1)
}

// TestTwoManagers: each has a session and a cookie of its own, which From and FromManager
// find, also where only the outer one is.
func TestTwoManagers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	shop := sessiontest.New(t, func(set *session.Settings) { set.CookieName = "shop" })
	var seen []*session.Session
	s.App.Use(fibersession.New(s.Manager), func(c fiber.Ctx) error {
		err := c.Next()
		own, _ := session.FromContext(c.Context())
		seen = append(seen, fibersession.From(c), fibersession.FromManager(c, s.Manager), own)
		return err
	}, fibersession.New(shop.Manager))
	s.App.Get("/put", func(c fiber.Ctx) error {
		require.Same(t, fibersession.From(c), fibersession.FromManager(c, shop.Manager))
		own, _ := session.FromContext(c.Context())
		require.Same(t, own, fibersession.From(c))
		name.Put(fibersession.From(c), "ada")
		name.Put(fibersession.FromManager(c, s.Manager), "grace")
		return nil
	})
	answer := s.open().visitor().get("/put")
	require.NotNil(t, answer.cookie("session_id"))
	require.NotNil(t, answer.cookie("shop"))
	require.Len(t, answer.Header["Set-Cookie"], 2)
	require.Equal(t, []string{"Cookie"}, answer.Header["Vary"])
	require.Same(t, seen[0], seen[1])
	require.Same(t, seen[0], seen[2])
	require.Equal(t, "grace", name.Value(seen[0]))
	require.Empty(t, s.of(session.EventClash))
}

// TestClash: two managers of one cookie are reported.
func TestClash(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	other := sessiontest.New(t)
	s.App.Use(fibersession.New(other.Manager), fibersession.New(s.Manager))
	s.App.Get("/put", put)
	s.open().visitor().get("/put")
	require.Len(t, s.of(session.EventClash), 1)
}

// TestWithoutMiddleware: the messages say what is missing.
func TestWithoutMiddleware(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	other := sessiontest.New(t)
	s.App.Get("/none", func(c fiber.Ctx) error {
		_, ok := session.FromContext(c.Context())
		require.False(t, ok)
		require.PanicsWithValue(t, "fibersession: the request has no session: put fibersession.New around the handler, as in app.Use(fibersession.New(sessions))",
			func() { fibersession.From(c) })
		require.Panics(t, func() { _ = fibersession.WriteError(c, session.ErrGone) })
		return nil
	})
	s.App.Get("/other", fibersession.New(other.Manager), func(c fiber.Ctx) error {
		require.PanicsWithValue(t, "fibersession: the request has no session of this manager: put its fibersession.New around the handler",
			func() { fibersession.FromManager(c, s.Manager) })
		return nil
	})
	s.open()
	require.Equal(t, 200, s.visitor().get("/none").StatusCode)
	require.Equal(t, 200, s.visitor().get("/other").StatusCode)
	require.Panics(t, func() { fibersession.New(nil) })
	require.Panics(t, func() { fibersession.Protect(nil, nil) })
}
