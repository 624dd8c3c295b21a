package main

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/session"
	"github.com/valyala/fasthttp"
)

// openFiber runs fiber's session middleware as session.New makes it, over its
// memory storage. Each page is an app of its own with one route, so that no
// routing is measured; they share the store.
func openFiber(_ context.Context, _ string, f *faults) (server, error) {
	return fiberServerOver(nil, f), nil
}

// fiberServerOver runs the middleware over a storage, nil for its memory storage.
func fiberServerOver(storage fiber.Storage, f *faults) *fiberServer {
	store := session.NewStore(session.Config{Storage: storage})
	app := func(serve fiber.Handler) fasthttp.RequestHandler {
		return fiberApp(session.New(session.Config{Store: store, ErrorHandler: func(_ fiber.Ctx, err error) { f.note(err) }}), serve)
	}

	s := &fiberServer{end: func() error { return store.Storage.Close() }}
	s.loginPage = app(func(c fiber.Ctx) error {
		m := session.FromContext(c)
		m.Set(keyUser, c.Query(keyUser))
		m.Set(keyTheme, valueTheme)
		m.Set(keyLocale, valueLocale)
		m.Set(keyCSRF, valueCSRF)
		m.Set(keyCount, 0)
		return nil
	})
	s.pages[opUnused] = app(fiberUnused)
	s.pages[opRead] = app(func(c fiber.Ctx) error {
		m := session.FromContext(c)
		user, _ := m.Get(keyUser).(string)
		csrf, _ := m.Get(keyCSRF).(string)
		f.checkRead(user, csrf)
		return c.SendString(user)
	})
	s.pages[opWrite] = app(func(c fiber.Ctx) error {
		m := session.FromContext(c)
		user, _ := m.Get(keyUser).(string)
		count, ok := m.Get(keyCount).(int)
		if !ok {
			count = -1
		}
		f.checkWrite(user, count)
		m.Set(keyCount, count+1)
		return c.SendString(user)
	})
	s.pages[opInspect] = app(func(c fiber.Ctx) error {
		m := session.FromContext(c)
		user, _ := m.Get(keyUser).(string)
		theme, _ := m.Get(keyTheme).(string)
		locale, _ := m.Get(keyLocale).(string)
		csrf, _ := m.Get(keyCSRF).(string)
		count, _ := m.Get(keyCount).(int)
		return c.SendString(inspection(user, theme, locale, csrf, count))
	})
	return s
}

func openFiberBare(context.Context, string, *faults) (server, error) {
	s := &fiberServer{}
	s.pages[opUnused] = fiberApp(fiberUnused)
	return s, nil
}

func fiberUnused(c fiber.Ctx) error { return c.SendString(pageUnused) }

func fiberApp(handlers ...fiber.Handler) fasthttp.RequestHandler {
	app := fiber.New()
	for _, h := range handlers[:len(handlers)-1] {
		app.Use(h)
	}
	app.Get("/", handlers[len(handlers)-1])
	return app.Handler()
}

// fiberServer is an application of fiber apps.
type fiberServer struct {
	loginPage fasthttp.RequestHandler
	pages     [operations]fasthttp.RequestHandler
	end       func() error
}

func (s *fiberServer) close() error {
	if s.end == nil {
		return nil
	}
	return s.end()
}

func (s *fiberServer) login(user string) (client, error) {
	c := &fiberClient{server: s}
	var r fasthttp.Request
	r.SetRequestURI("/?user=" + url.QueryEscape(user))
	r.Header.SetHost("example.com")
	c.ctx.Init(&r, nil, nil)
	if s.loginPage != nil {
		if _, err := c.keep(s.loginPage); err != nil {
			return nil, err
		}
	}
	c.ctx.Request.SetRequestURI("/")
	return c, nil
}

// fiberClient has one RequestCtx, like a connection of a fasthttp server.
type fiberClient struct {
	server *fiberServer
	ctx    fasthttp.RequestCtx
}

func (*fiberClient) carries() bool { return false }

func (c *fiberClient) request(op operation) {
	c.ctx.Response.Reset()
	c.ctx.ResetUserValues()
	c.server.pages[op](&c.ctx)
}

func (c *fiberClient) fetch(op operation) (string, error) { return c.keep(c.server.pages[op]) }

func (c *fiberClient) keep(page fasthttp.RequestHandler) (string, error) {
	c.ctx.Response.Reset()
	c.ctx.ResetUserValues()
	page(&c.ctx)
	body := string(c.ctx.Response.Body())
	if code := c.ctx.Response.StatusCode(); code != fasthttp.StatusOK {
		return "", fmt.Errorf("answer %d: %s", code, body)
	}
	for name, line := range c.ctx.Response.Header.Cookies() {
		var cookie fasthttp.Cookie
		if err := cookie.ParseBytes(line); err != nil {
			return "", err
		}
		if cookie.Expire() != fasthttp.CookieExpireUnlimited && cookie.Expire().Before(time.Now()) {
			continue
		}
		c.ctx.Request.Header.SetCookieBytesKV(name, cookie.Value())
	}
	return body, nil
}
