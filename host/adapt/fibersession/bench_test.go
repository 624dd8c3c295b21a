package fibersession_test

import (
	"net/http"
	"testing"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/adaptor"
	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"
	"github.com/waddle-sessions/waddle/host/adapt/fibersession"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// requestOf returns what a browser sends.
func requestOf(cookie string) *fasthttp.Request {
	r := new(fasthttp.Request)
	r.SetRequestURI("/")
	r.Header.SetHost("example.com")
	for name, value := range map[string]string{
		"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Accept": "text/html,application/xhtml+xml,*/*;q=0.8",
		"Accept-Language": "en-GB,en;q=0.7", "Accept-Encoding": "gzip, deflate, br, zstd", "Sec-Fetch-Site": "same-origin",
		"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Cookie": "theme=dark; session_id=" + cookie,
	} {
		r.Header.Set(name, value)
	}
	return r
}

// pages are handlers, and what a request costs at most beyond the handler itself: its
// allocations.
var pages = map[string]struct {
	serve  fiber.Handler
	allocs float64
}{
	"unused": {func(c fiber.Ctx) error { return c.SendString("page") }, 2},
	"read":   {func(c fiber.Ctx) error { return c.SendString(name.Value(fibersession.From(c))) }, 14},
	"write": {func(c fiber.Ctx) error {
		s := fibersession.From(c)
		visits.Put(s, visits.Value(s)+1)
		return c.SendString("page")
	}, 18},
}

func server(t testing.TB, around func(*session.Manager) fiber.Handler, page fiber.Handler) func() {
	sessions, err := session.New(store.NewMemory(), session.Settings{})
	require.NoError(t, err)
	id, err := func() (string, error) {
		s := sessions.Session(t.Context(), "")
		name.Put(s, "ada")
		if err := s.Save(); err != nil {
			return "", err
		}
		return s.ID()
	}()
	require.NoError(t, err)
	app := fiber.New()
	app.Use(around(sessions))
	app.Get("/", page)
	handler := app.Handler()
	var c fasthttp.RequestCtx
	c.Init(requestOf(id), nil, nil)
	return func() {
		c.Response.Reset()
		c.ResetUserValues()
		handler(&c)
		if c.Response.StatusCode() != http.StatusOK {
			t.Fatal(c.Response.StatusCode())
		}
	}
}

// TestAllocations: a request that does not use its session costs two allocations, for
// the session's place and the copy of the header.
func TestAllocations(t *testing.T) {
	if raced {
		t.Skip("the race detector allocates")
	}
	for kind, page := range pages {
		request := server(t, fibersession.New, page.serve)
		require.LessOrEqual(t, testing.AllocsPerRun(100, request), page.allocs, kind)
	}
}

func BenchmarkRequest(b *testing.B) {
	for kind, page := range pages {
		b.Run(kind, func(b *testing.B) {
			request := server(b, fibersession.New, page.serve)
			b.ReportAllocs()
			for b.Loop() {
				request()
			}
		})
	}
	none := func(*session.Manager) fiber.Handler { return func(c fiber.Ctx) error { return c.Next() } }
	converted := func(m *session.Manager) fiber.Handler { return adaptor.HTTPMiddleware(m.Handler) }
	for kind, around := range map[string]func(*session.Manager) fiber.Handler{"without sessions": none, "unused by fiber's adaptor": converted} {
		b.Run(kind, func(b *testing.B) {
			request := server(b, around, pages["unused"].serve)
			b.ReportAllocs()
			for b.Loop() {
				request()
			}
		})
	}
}
