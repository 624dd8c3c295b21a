package fibersession

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v3"
	"github.com/waddle-sessions/waddle/host/session"
)

// Protect returns middleware, for use inside [New], that lets a request that changes
// something through only if no other site can have made a browser send it. It decides
// as [session.Manager.Protect] does and describes: by what browsers say of the origin,
// and by the token of the session, in the header session.CSRFHeader or the form field
// session.CSRFField, for requests that say nothing.
//
//	app.Use(fibersession.New(sessions), fibersession.Protect(sessions, nil))
//
// origins holds the origins to trust and the paths that any origin may request; nil
// stands for one without any. If a request is refused, the handler of its
// SetDenyHandler answers, or Settings.OnError, and the handlers inside are not called.
//
// If the app streams requests' bodies (StreamRequestBody), the token of a form that is
// still on its way is not looked for: send it in the header.
func Protect(m *session.Manager, origins *http.CrossOriginProtection) fiber.Handler {
	if m == nil {
		panic("fibersession: Protect needs a manager")
	}
	check := m.Protect(origins)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.(*answer).passed = true
	}))
	return func(c fiber.Ctx) error {
		if harmless(c) {
			return c.Next()
		}
		x := exchangeOf(c, m)
		a := &answer{header: make(http.Header)}
		check.ServeHTTP(a, withBody(x.request().WithContext(x), c))
		if a.passed {
			return c.Next()
		}
		a.replace(c, c.Response(), func(string) bool { return false })
		return nil
	}
}

// harmless reports whether a request changes nothing, so that no site needs to be kept
// from sending it.
func harmless(c fiber.Ctx) bool {
	switch c.Method() {
	case fiber.MethodGet, fiber.MethodHead, fiber.MethodOptions:
		return len(c.Request().Header.Peek(fiber.HeaderUpgrade)) == 0
	}
	return false
}

// withBody gives a request the form in which the token may be.
func withBody(r *http.Request, c fiber.Ctx) *http.Request {
	request := c.Request()
	switch {
	case request.IsBodyStream():
	case strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") && !c.App().Config().DisablePreParseMultipartForm:
		// fasthttp has parsed it already, and would have to put it together again.
		if form, err := request.MultipartForm(); err == nil {
			r.PostForm = url.Values(form.Value)
		}
	default:
		r.Body = io.NopCloser(bytes.NewReader(request.Body()))
	}
	return r
}
