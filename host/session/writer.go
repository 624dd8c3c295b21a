package session

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
)

// responseWriter saves the session just before the response begins: at the
// first write, at a header that is not informational, at a flush or a hijack.
type responseWriter struct {
	http.ResponseWriter
	request *http.Request
	session *Session

	beginning bool // the headers are about to be completed

	sent   bool   // the headers have left, or are about to
	failed error  // the session could not be saved: OnError has answered
	cookie string // our Set-Cookie line among the headers
	token  bool   // the session's id is among the headers

	// Header values, kept here so that setting them allocates nothing.
	vary, cacheControl [1]string
}

var (
	_ http.Flusher  = (*responseWriter)(nil)
	_ http.Hijacker = (*responseWriter)(nil)
	_ io.ReaderFrom = (*responseWriter)(nil)
)

// Unwrap lets http.ResponseController reach what is beneath.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *responseWriter) WriteHeader(status int) {
	// Informational responses come before the response; switching protocols
	// is one.
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	if w.begin() == nil {
		w.ResponseWriter.WriteHeader(status)
	}
}

func (w *responseWriter) Write(p []byte) (int, error) {
	if err := w.begin(); err != nil {
		return 0, err
	}
	return w.ResponseWriter.Write(p)
}

func (w *responseWriter) WriteString(s string) (int, error) {
	if err := w.begin(); err != nil {
		return 0, err
	}
	return io.WriteString(w.ResponseWriter, s)
}

// ReadFrom keeps the path on which net/http sends files without copying.
func (w *responseWriter) ReadFrom(r io.Reader) (int64, error) {
	if err := w.begin(); err != nil {
		return 0, err
	}
	return io.Copy(w.ResponseWriter, r)
}

func (w *responseWriter) Flush() { _ = w.FlushError() }

func (w *responseWriter) FlushError() error {
	if err := w.begin(); err != nil {
		return err
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack saves the session first. Whoever hijacks writes the headers and may or
// may not look at those of the ResponseWriter: a session that is new at
// this moment is refused with ErrHeadersSent, since nobody could see that its
// cookie got lost. One that was saved before, and its cookie found in the
// headers, is the caller's to send.
func (w *responseWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	began, err := w.session.beforeHijack()
	if err != nil {
		return nil, nil, err
	}
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil && began {
		// HTTP/2, for one, cannot: an ordinary response is still to come.
		w.session.notHijacked()
	}
	return conn, rw, err
}

// begin saves the session and completes the headers, once. If the session
// cannot be saved, OnError answers in place of the handler, and what the
// handler writes goes nowhere.
func (w *responseWriter) begin() error {
	if w.sent {
		return w.failed
	}
	if err := w.session.beforeHeaders(); err != nil {
		w.fail(err)
		return err
	}
	return nil
}

// fail answers with the error instead of what the handler meant to say. A
// cookie that is among the headers stays: its session is stored, and the id
// before it may be gone.
func (w *responseWriter) fail(err error) {
	w.failed = err
	dropContentHeaders(w.Header())
	w.session.manager.settings.OnError(w.ResponseWriter, w.request, err)
}

// contentHeaders describe a body that will not come after all, or say how long
// it may be kept.
var contentHeaders = []string{
	"Content-Length", "Content-Encoding", "Content-Type", "Content-Disposition", "Content-Range", "Content-Language", "Content-Location",
	"Etag", "Last-Modified", "Location", "Cache-Control", "Expires", "Cdn-Cache-Control", "Surrogate-Control",
}

// dropContentHeaders makes room for an error, which no cache is to keep.
func dropContentHeaders(h http.Header) {
	for _, name := range contentHeaders {
		h.Del(name)
	}
	h.Set("Cache-Control", "no-store")
}

// finish saves what the handler changed after the response began, or begins a
// response that has no body.
func (w *responseWriter) finish() {
	if !w.sent {
		_ = w.begin()
		return
	}
	if w.failed != nil {
		return
	}
	w.session.afterHeaders()
}

// beforeHeaders saves the session and completes the headers, after which no
// cookie can be sent.
func (s *Session) beforeHeaders() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.w.beginning = true
	err := s.commitAtEnd()
	s.w.beginning, s.w.sent = false, true
	if s.touched {
		s.w.addHeaders()
	}
	return err
}

// beforeHijack saves the session where no cookie can be sent, and reports
// whether it is this that ends the time for cookies.
func (s *Session) beforeHijack() (began bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.w.sent {
		return false, s.w.failed
	}
	s.w.sent = true
	if err := s.commitAtEnd(); err != nil {
		s.w.sent = false
		return false, err
	}
	return true, nil
}

// notHijacked takes beforeHijack back.
func (s *Session) notHijacked() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.w.sent = false
}

// afterHeaders saves what was changed since.
func (s *Session) afterHeaders() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.commitAtEnd(); err != nil {
		s.event(EventFailed, err)
	}
}

// commitAtEnd is the commit of the middleware. That another request ended the
// session meanwhile is no fault of this one, and what else it did counts: the
// response goes out and an event tells. Only where the id was to be
// renewed must the client hear of it, who would otherwise believe to be
// logged in.
func (s *Session) commitAtEnd() error {
	if !s.touched {
		return nil
	}
	renew := s.renew
	err := s.commit(nil)
	if errors.Is(err, ErrGone) && !renew {
		return nil
	}
	return err
}

// addHeaders completes the headers of a response whose session was touched,
// just before they leave.
func (w *responseWriter) addHeaders() {
	s := w.session
	h := w.Header()
	w.addVary(h, "Cookie")
	told := w.token
	if s.manager.settings.TokenHeader != "" {
		w.addVary(h, s.manager.settings.TokenHeader)
		told = w.placeToken(h)
	}
	if s.resend && w.cookie == "" && s.exists && s.transport == TransportCookie {
		// The client missed the response that told it its new id.
		w.cookie = s.manager.settings.setCookie(s.id, s.manager.cookieUntil(&s.record), s.manager.now(), s.manager.secure(w.request))
	}
	if s.destroyed && w.cookie == "" && s.transport == TransportCookie {
		w.cookie = s.manager.settings.removeCookie(s.manager.secure(w.request))
	}
	w.placeCookie(h)
	if w.cookie == "" && !told {
		if h["Cache-Control"] == nil {
			w.cacheControl[0] = "private"
			h["Cache-Control"] = w.cacheControl[:1:1]
		}
		return
	}
	switch said := strings.ToLower(strings.Join(h["Cache-Control"], ",")); {
	case said == "":
		h.Set("Cache-Control", "private, no-store")
	case !strings.Contains(said, "no-store") && !strings.Contains(said, "private"):
		// A shared cache must not give one visitor's cookie to another.
		h.Add("Cache-Control", `no-cache="Set-Cookie"`)
	}
}

func (w *responseWriter) addVary(h http.Header, on string) {
	vary := h["Vary"]
	if vary == nil {
		w.vary[0] = on
		h["Vary"] = w.vary[:1:1]
		return
	}
	for _, line := range vary {
		for token := range strings.SplitSeq(line, ",") {
			token = strings.TrimSpace(token)
			if token == "*" || strings.EqualFold(token, on) {
				return
			}
		}
	}
	h.Add("Vary", on)
}

// sendID puts the session's id among the headers at once, where a handler that
// writes the response itself finds it.
func (w *responseWriter) sendID(id string, until, now int64) {
	h, m := w.Header(), w.session.manager
	if w.session.transport == TransportHeader {
		h.Set(m.settings.TokenHeader, id)
		w.token = true
		return
	}
	w.removeCookieLine(h)
	w.cookie = m.settings.setCookie(id, until, now, m.secure(w.request))
	w.placeCookie(h)
}

// dropID takes an id back that was to go out.
func (w *responseWriter) dropID() {
	if !w.sent {
		w.removeCookieLine(w.Header())
		if w.token {
			w.Header().Del(w.session.manager.settings.TokenHeader)
		}
	}
	w.cookie, w.token = "", false
}

// placeToken makes sure that the session's id is among the headers, or, after
// the session was ended, an empty one, which tells the client to forget.
func (w *responseWriter) placeToken(h http.Header) (told bool) {
	s := w.session
	if s.transport != TransportHeader {
		return false
	}
	switch name := s.manager.settings.TokenHeader; {
	case w.token:
		h.Set(name, s.id)
	case s.destroyed:
		h.Set(name, "")
	default:
		return false
	}
	return true
}

// placeCookie makes sure that our cookie is among the headers: a handler may
// have replaced them since.
func (w *responseWriter) placeCookie(h http.Header) {
	if w.cookie != "" && !contains(h["Set-Cookie"], w.cookie) {
		h["Set-Cookie"] = append(h["Set-Cookie"], w.cookie)
	}
}

func (w *responseWriter) removeCookieLine(h http.Header) {
	if w.cookie == "" {
		return
	}
	lines := h["Set-Cookie"]
	for i, line := range lines {
		if line == w.cookie {
			h["Set-Cookie"] = append(lines[:i:i], lines[i+1:]...)
			break
		}
	}
	if len(h["Set-Cookie"]) == 0 {
		h.Del("Set-Cookie")
	}
}
