package fibersession

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp"
	"github.com/waddle-sessions/waddle/host/session"
)

// exchange is one manager's session of a request. fasthttp closes it, as a local of the
// request, when the response has left and nothing runs for it any more.
type exchange struct {
	session.Exchange
	manager *session.Manager
	around  outerContext

	copied  copiedRequest
	made    sync.Once
	asHTTP  *http.Request
	header  http.Header // the session's fields of the response
	refusal *answer     // of Settings.OnError, if that had to answer
	status  int         // of the handler's answer; 0: it has not answered
	over    atomic.Bool // the handlers inside have returned
	lost    atomic.Bool // the response left without them
	placed  int         // how many of the session's cookies are in the response

	// The fields below are set in the outermost exchange of a request.
	innermost *exchange
	nested    []*exchange

	outer *exchange // around this one
}

var _ session.ExchangeServer = (*exchange)(nil)

func begin(m *session.Manager, c fiber.Ctx) *exchange {
	x := &exchange{manager: m}
	x.around = outerContext{c.Context(), x}
	x.copied.take(c)
	m.Begin(&x.around, &x.Exchange, x, x.copied.length != 0)
	return x
}

// within reports whether a manager's exchange is around the caller.
func (x *exchange) within(m *session.Manager) bool {
	for at := x.innermost; at != nil; at = at.outer {
		if at.manager == m && !at.over.Load() {
			return true
		}
	}
	return false
}

// finish saves the session and completes the response. It reports whether
// Settings.OnError has answered in place of the handler, whose error is err.
func (x *exchange) finish(c fiber.Ctx, err error) (refused bool) {
	defer x.over.Store(true)
	if abandoned(c, &x.around) {
		// A time-out around this middleware answers, and its goroutine owns the response.
		x.lost.Store(true)
		x.Late()
		return false
	}
	response := responseOf(c)
	x.status = statusOf(c, response, err)
	if used := x.Used(); used || response.IsBodyStream() {
		x.Locked(func() { x.read(response) })
		if !used {
			used = x.Used() // by the function that produces the body
		}
		if x.Finish() != nil {
			x.refuse().header = x.header
			x.refusal.replace(c, response, x.Drops)
			x.placed = len(x.header["Set-Cookie"])
			return true
		}
		if used {
			x.Locked(func() { x.write(response) })
		}
		return false
	}
	_ = x.Finish() // nobody has asked for the session, so nothing can fail
	return false
}

// abandoned reports whether a time-out around this middleware has answered. One that is
// about to is waited for, since both would write to the response.
func abandoned(c fiber.Ctx, around context.Context) bool {
	if !errors.Is(around.Err(), context.DeadlineExceeded) {
		return false
	}
	for waited := time.Duration(0); waited < maxAbandoning && !c.IsAbandoned(); waited += time.Millisecond {
		time.Sleep(time.Millisecond)
	}
	return c.IsAbandoned()
}

// maxAbandoning is for a deadline that no time-out answers for: other code has set it.
const maxAbandoning = 100 * time.Millisecond

// panicked sends the cookie of a session that was stored before a panic.
func (x *exchange) panicked(c fiber.Ctx) {
	x.over.Store(true)
	if x.Used() && !c.IsAbandoned() {
		x.Locked(func() { x.write(c.Response()) })
	}
}

// look returns the session, for a response that has not left.
func (x *exchange) look(c fiber.Ctx) *session.Session {
	if x.over.Load() && !x.lost.Load() && !c.IsAbandoned() {
		response := responseOf(c)
		x.Locked(func() { x.read(response) })
		x.Look()
		x.Locked(func() { x.write(response) })
	}
	return x.Session()
}

// Close saves what was changed while the response left or after that.
func (x *exchange) Close() error {
	for _, inner := range x.nested {
		_ = inner.Exchange.Close()
	}
	return x.Exchange.Close()
}

// Request makes net/http's form of the request, for the session and for the functions
// of its settings.
func (x *exchange) Request() *http.Request { return x.request() }

func (x *exchange) request() *http.Request {
	x.made.Do(func() { x.asHTTP = x.copied.request(&x.around) })
	return x.asHTTP
}

// Answered returns the status of the handler's answer.
func (x *exchange) Answered() int { return x.status }

// responseOf returns the response that will leave: after a time-out inside, that is a
// copy.
func responseOf(c fiber.Ctx) *fasthttp.Response {
	if late := c.RequestCtx().LastTimeoutErrorResponse(); late != nil {
		return late
	}
	return c.Response()
}

// statusOf returns the status with which the handler has answered, or 0 if it has not.
func statusOf(c fiber.Ctx, response *fasthttp.Response, err error) int {
	switch status := response.StatusCode(); {
	case err != nil:
		return http.StatusInternalServerError // the ErrorHandler may choose another
	case status != http.StatusOK, response.IsBodyStream(), c.RequestCtx().Hijacked(), len(response.Body()) > 0:
		return status
	}
	return 0
}

// outerContext is the context in which the middleware was called. It also has the
// address of the listener, as net/http's contexts do.
type outerContext struct {
	context.Context
	x *exchange
}

func (o *outerContext) Value(key any) any {
	if key == http.LocalAddrContextKey {
		return o.x.copied.local
	}
	return o.Context.Value(key)
}
