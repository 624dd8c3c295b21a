// Package fibersession adds sessions to servers that are built with fiber v3.
//
//	sessions, err := session.New(engine, session.Settings{})
//	…
//	app.Use(recover.New(), fibersession.New(sessions))
//	app.Get("/", func(c fiber.Ctx) error {
//		n, err := session.Increment(fibersession.From(c), visits, 1)
//		if err != nil {
//			return fibersession.WriteError(c, err)
//		}
//		return c.SendString(fmt.Sprintf("visit %d", n))
//	})
//
// It works on fiber's own request and response: nothing is converted to net/http and
// no body is buffered for it. The session copies what it needs of the request when it
// begins, so it may be kept when fiber has given the request's memory to another one.
package fibersession

import (
	"github.com/gofiber/fiber/v3"
	"github.com/waddle-sessions/waddle/host/session"
)

// New returns middleware that gives each request its session. [From] finds it, and so
// does [session.FromContext] in c.Context().
//
// The session is loaded when it is first accessed, and saved when the handlers inside
// have returned, before the response leaves. If they return an error, fiber's
// ErrorHandler answers afterwards: the session is saved all the same, and its cookie
// goes out with that answer. If it cannot be saved, Settings.OnError answers in place
// of the handler, and the middleware returns nil. A panic that passes through saves
// nothing.
//
// The function of SendStreamWriter and the handler of an upgraded connection run after
// that. They may use a session that they were given. Their changes are saved when they
// have ended, or by Save. A change that needs a cookie is ErrHeadersSent, or an
// EventFailed where no method returns the error.
//
// Inside another New of this manager it does nothing: there is one session and one
// cookie.
func New(m *session.Manager) fiber.Handler {
	if m == nil {
		panic("fibersession: New needs a manager")
	}
	return func(c fiber.Ctx) error { return serve(m, c) }
}

func serve(m *session.Manager, c fiber.Ctx) error {
	first := firstOf(c)
	if first != nil && first.within(m) {
		return c.Next()
	}
	x := begin(m, c)
	around := c.Context()
	if first == nil {
		first = x
		c.RequestCtx().SetUserValue(localsKey{}, x)
	} else {
		first.nested = append(first.nested, x)
	}
	x.outer, first.innermost = first.innermost, x
	c.SetContext(x)

	returned := false
	defer func() {
		if !returned {
			x.panicked(c)
		}
	}()
	err := c.Next()
	returned = true
	if x.finish(c, err) {
		err = nil
	}
	if x.outer != nil {
		first.innermost = x.outer
		c.SetContext(around)
	}
	return err
}

// From returns the session of a request. It panics if New is not around the calling
// handler: there is then no session. With several managers it returns the innermost
// one's; see [FromManager].
//
// It may still be called when New has returned: by an ErrorHandler, or middleware
// around New. The session can then be read, and changes that need no cookie are
// saved. It must be called on the goroutine of the request, like all methods of c.
// Others are given the session.
func From(c fiber.Ctx) *session.Session {
	if first := firstOf(c); first != nil {
		return first.innermost.look(c)
	}
	panic("fibersession: the request has no session: put fibersession.New around the handler, as in app.Use(fibersession.New(sessions))")
}

// FromManager returns one manager's session of a request, for an application with
// several managers. It panics like From.
func FromManager(c fiber.Ctx, m *session.Manager) *session.Session {
	return exchangeOf(c, m).look(c)
}

func exchangeOf(c fiber.Ctx, m *session.Manager) *exchange {
	if first := firstOf(c); first != nil {
		for x := first.innermost; x != nil; x = x.outer {
			if x.manager == m {
				return x
			}
		}
	}
	panic("fibersession: the request has no session of this manager: put its fibersession.New around the handler")
}

// WriteError answers a request with Settings.OnError, for a handler that met an error
// of its session and says so at once:
//
//	if err := s.LogIn(name, nil); err != nil {
//		return fibersession.WriteError(c, err)
//	}
//
// It drops the handler's answer so far, and the header fields about it; cookies and all
// other fields stay. It returns nil, which is what the handler should
// return: any other error would be answered by fiber's ErrorHandler. It panics like
// From.
func WriteError(c fiber.Ctx, err error) error {
	first := firstOf(c)
	if first == nil {
		panic("fibersession: WriteError needs fibersession.New around the handler")
	}
	x := first.innermost
	a := &answer{header: make(map[string][]string)}
	x.manager.WriteError(a, x.request().WithContext(x), err)
	a.replace(c, c.Response(), x.Drops)
	return nil
}

// localsKey is the key of the outermost exchange in a request's locals.
type localsKey struct{}

// firstOf returns the outermost exchange of a request, or nil.
func firstOf(c fiber.Ctx) *exchange {
	x, _ := c.RequestCtx().UserValue(localsKey{}).(*exchange)
	return x
}
