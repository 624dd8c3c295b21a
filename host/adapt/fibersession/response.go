package fibersession

import (
	"net/http"
	"slices"

	"github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp"
)

// said has the fields of a response on which the session's own depend.
var said = [...]string{
	"Vary", "Cache-Control",
	"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Expose-Headers",
}

// Header returns the session's fields of the response's header.
func (x *exchange) Header() http.Header {
	if x.header == nil {
		x.header = make(http.Header)
	}
	return x.header
}

// WriteHeader begins the answer of Settings.OnError.
func (x *exchange) WriteHeader(status int) { x.refuse().WriteHeader(status) }

// Write continues the answer of Settings.OnError.
func (x *exchange) Write(p []byte) (int, error) { return x.refuse().Write(p) }

func (x *exchange) refuse() *answer {
	if x.refusal == nil {
		x.refusal = &answer{}
	}
	return x.refusal
}

// read copies the handler's fields into the session's header.
func (x *exchange) read(response *fasthttp.Response) {
	h := x.Header()
	for _, name := range said {
		lines := response.Header.PeekAll(name)
		if len(lines) == 0 {
			delete(h, name)
			continue
		}
		values := make([]string, len(lines))
		for i, line := range lines {
			values[i] = string(line)
		}
		h[name] = values
	}
}

// write brings the session's header into the response.
func (x *exchange) write(response *fasthttp.Response) {
	for name, values := range x.header {
		if name == "Set-Cookie" {
			for ; x.placed < len(values); x.placed++ {
				response.Header.Add(name, values[x.placed])
			}
			continue
		}
		setField(response, name, values)
	}
}

// setField gives a field of a response these values, if it has others.
func setField(response *fasthttp.Response, name string, values []string) {
	same := func(line []byte, value string) bool { return string(line) == value }
	if slices.EqualFunc(response.Header.PeekAll(name), values, same) {
		return
	}
	response.Header.Del(name)
	for _, value := range values {
		response.Header.Add(name, value)
	}
}

// answer is a response of Settings.OnError, which writes as to net/http.
type answer struct {
	header http.Header
	status int
	body   []byte
	passed bool // there is none: Protect lets the request through
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= 200 {
		a.status = status
	}
}

func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	a.body = append(a.body, p...)
	return len(p), nil
}

// replace puts the answer in place of what a response was to be. Fields that drops
// names go; all others stay.
func (a *answer) replace(c fiber.Ctx, response *fasthttp.Response, drops func(field string) bool) {
	a.WriteHeader(http.StatusOK)
	var gone []string
	for name := range response.Header.All() {
		if name := string(name); drops(http.CanonicalHeaderKey(name)) {
			gone = append(gone, name)
		}
	}
	for _, name := range gone {
		response.Header.Del(name)
	}
	c.RequestCtx().Hijack(nil)
	response.ResetBody()
	response.SetStatusCode(a.status)
	for name, values := range a.header {
		if name == "Set-Cookie" {
			for _, value := range values {
				response.Header.Add(name, value)
			}
			continue
		}
		setField(response, name, values)
	}
	if len(a.header["Content-Type"]) == 0 {
		response.Header.SetContentType(http.DetectContentType(a.body))
	}
	response.SetBodyRaw(a.body)
}
