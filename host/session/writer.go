package session

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/waddle-sessions/waddle/host/store"
)

// responseWriter saves the session just before the response begins: at the
// first write, at a header that is not informational, at a flush or a hijack.
// Handlers see it as one of the types that claim more, see [abilities].
type responseWriter struct {
	http.ResponseWriter
	request *http.Request
	manager *Manager
	outer   *responseWriter // of a manager around this one, nil if there is none
	began   store.Millis    // when the request began; 0: not before its first look

	mu   sync.Mutex              // guards making the session
	made atomic.Pointer[Session] // nil or unused as long as nobody asked for it

	over      atomic.Bool // the handler has returned, and everything that comes after it is done
	can       abilities   // of the writer beneath
	exchange  bool        // the writer beneath is an ExchangeServer: request is nil until somebody needs it
	returned  bool        // the handler has returned
	beginning bool        // the headers are about to be completed

	sent     bool // the headers have left, or are about to
	lookable bool // looking at the session now harms no cache
	bypassed bool // the response went out beneath this writer
	told     bool // a look that came too late was reported
}

// answer is what a response says of a session that was looked at.
type answer struct {
	failed error  // the session could not be saved: OnError has answered
	cookie string // our Set-Cookie line among the headers

	// Header values, kept here so that setting them allocates nothing. They are each
	// response's own, since a handler may write to them.
	vary, cacheControl [1]string
}

// unused stands for the session of a response whose headers left before anybody asked
// for it.
var unused = new(Session)

// session returns the request's session. Most requests of most sites never ask for
// it, so it is made when somebody does.
func (w *responseWriter) session() *Session {
	if s := w.asked(); s != nil {
		return s
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	made := w.made.Load()
	if made != nil && made != unused {
		return made
	}
	s := &Session{began: w.began}
	s.attach(w.manager, w.incoming().Context(), w)
	if made == nil && w.made.CompareAndSwap(nil, s) {
		return s
	}
	// The handler's goroutine writes sent only if there is a session.
	w.sent = true
	w.made.Store(s)
	return s
}

// asked returns the request's session if somebody has asked for it, or nil.
func (w *responseWriter) asked() *Session {
	if s := w.made.Load(); s != unused {
		return s
	}
	return nil
}

var _ io.ReaderFrom = (*responseWriter)(nil)

// Unwrap lets http.ResponseController reach what is beneath.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *responseWriter) WriteHeader(status int) {
	// Informational responses come before the response; switching protocols is the
	// response.
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	err := w.begin()
	if status == http.StatusSwitchingProtocols {
		w.noCaches()
	}
	if err == nil {
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

// ReadFrom keeps the path on which net/http sends files without copying. It works
// over any writer, so it is claimed over any.
func (w *responseWriter) ReadFrom(r io.Reader) (int64, error) {
	if err := w.begin(); err != nil {
		return 0, err
	}
	return io.Copy(w.ResponseWriter, r)
}

// FlushError exists even if nothing beneath can flush: otherwise
// [http.ResponseController] would go past this writer.
func (w *responseWriter) FlushError() error {
	if w.can&canFlush == 0 {
		return http.ErrNotSupported
	}
	if err := w.begin(); err != nil {
		return err
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// hijack saves the session first. The caller writes the headers and may or may
// not look at those of the ResponseWriter. So a session that is new at this
// moment is refused with ErrHeadersSent, since nobody could see that its cookie
// got lost. If a session was saved before, its cookie is in the headers, and the
// caller must send it.
func (w *responseWriter) hijack() (net.Conn, *bufio.ReadWriter, error) {
	s := w.session()
	began, err := s.beforeHijack()
	if err != nil {
		return nil, nil, err
	}
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil && began {
		// HTTP/2, for example, cannot: an ordinary response is still to come.
		s.notHijacked()
	}
	if err == nil {
		w.noCaches()
	}
	return conn, rw, err
}

// begin saves the session and completes the headers, once. If the session cannot
// be saved, OnError answers in place of the handler, and what the handler writes
// goes nowhere. A cookie that is in the headers stays: its session is stored, and the
// id before it may be gone.
func (w *responseWriter) begin() error {
	// Most responses begin before anybody asked for the session: there is nothing to save.
	if w.made.Load() == nil && w.made.CompareAndSwap(nil, unused) {
		return nil
	}
	s := w.asked()
	if s == nil {
		return nil
	}
	if w.sent {
		return s.answer.failed
	}
	if err := s.beforeHeaders(); err != nil {
		s.answer.failed = err
		dropContentHeaders(w.Header())
		w.manager.settings.OnError(w.ResponseWriter, w.request, err)
		return err
	}
	return nil
}

// contentHeaders describe a body that will not come after all, say how long it
// may be kept, or tell the client what to do next. All others stay: cookies, and
// those that keep a page safe or are the same for every response.
var contentHeaders = []string{
	"Content-Length", "Content-Encoding", "Content-Type", "Content-Disposition", "Content-Range", "Content-Language", "Content-Location",
	"Accept-Ranges", "Content-Digest", "Repr-Digest", "Digest", "Content-Md5", "Trailer",
	"Etag", "Last-Modified", "Location", "Refresh", "Retry-After",
	"Cache-Control", "Expires", "Pragma", "Age", "Cdn-Cache-Control", "Surrogate-Control",
}

// dropContentHeaders makes room for an error, which no cache may keep.
func dropContentHeaders(h http.Header) {
	for _, name := range contentHeaders {
		h.Del(name)
	}
	h.Set("Cache-Control", "no-store")
}

// noCaches records that what follows is not a response that a cache would keep.
func (w *responseWriter) noCaches() {
	s := w.session()
	s.mu.Lock()
	defer s.mu.Unlock()
	w.lookable = true
}

// finish saves what the handler changed after the response began, or begins a
// response that has no body.
func (w *responseWriter) finish() {
	w.returned = true
	if s := w.asked(); s == nil || !w.sent {
		_ = w.begin()
	} else if s.answer.failed == nil {
		s.afterHeaders()
	}
}

// beforeHeaders saves the session and completes the headers, after which no
// cookie can be sent.
func (s *Session) beforeHeaders() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.w.returned && s.touched && s.w.begunBeneath() {
		s.wentPast()
		return nil
	}
	s.w.beginning = true
	err := s.commitAtEnd()
	s.w.beginning, s.w.sent = false, true
	if s.touched {
		s.addHeaders()
		s.w.lookable = true
	}
	return err
}

// beforeHijack saves the session when no cookie can be sent, and reports whether
// this call ended the time for cookies.
func (s *Session) beforeHijack() (began bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.w.sent {
		return false, s.answer.failed
	}
	s.w.sent = true
	if err := s.commitAtEnd(); err != nil {
		s.w.sent = false
		return false, err
	}
	return true, nil
}

// notHijacked undoes beforeHijack.
func (s *Session) notHijacked() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.w.sent = false
}

// afterHeaders saves what was changed since then.
func (s *Session) afterHeaders() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.commitAtEnd(); err != nil && err != errLateLook {
		s.event(EventFailed, err)
	}
}

// commitAtEnd is the commit of the middleware. If another request ended the
// session meanwhile, this one is not at fault, and what else it did counts: the
// response goes out and an event tells of it. The client must hear of it only if
// the id had to be renewed, since it would otherwise believe that it is logged
// in.
func (s *Session) commitAtEnd() error {
	if s.failure != nil {
		return s.endFailed()
	}
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
