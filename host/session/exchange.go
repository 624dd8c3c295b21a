package session

import (
	"context"
	"net/http"
	"slices"
	"sync/atomic"
)

// Exchange is a request and its response on a server that is not net/http's. It
// does what [Manager.Handler] does on net/http: adapters of other servers are built
// on it, such as that for fiber. The server must hold a response back until the
// handler has returned, and may produce its body, or speak another protocol, after
// that.
//
// An Exchange is also the context in which [FromContext] finds the session, made
// from the one that Begin was given. Its methods belong to the goroutine that
// serves the request, except those of the context and Session.
//
// The zero Exchange is ready for [Manager.Begin]. It is used for one request, since
// handlers may keep it.
type Exchange struct {
	context.Context
	writer   responseWriter
	finished bool
	closed   atomic.Bool
}

// ExchangeServer is the server's side of an [Exchange].
type ExchangeServer interface {
	// ResponseWriter takes the session's fields of the response's header. Its Write
	// and WriteHeader are called only by Settings.OnError, within Finish: its answer
	// then replaces the handler's.
	http.ResponseWriter

	// Request returns the request. It is called once, by the goroutine that first asks
	// for the session, so it must not use memory that the server gives to other requests.
	// The request must stay as it is for as long as somebody may have the session.
	Request() *http.Request

	// Answered returns the status with which the handler has answered, and 0 if it has
	// not: Settings.OnError then answers for an error that the handler took by
	// Session.Err.
	Answered() (status int)
}

// Begin begins the sessions of a request. A request with a body may have been under
// way for long when its handler first accesses the session.
func (m *Manager) Begin(ctx context.Context, x *Exchange, server ExchangeServer, hasBody bool) {
	w := &x.writer
	x.Context = ctx
	w.ResponseWriter, w.exchange, w.manager, w.outer = server, true, m, writerOf(ctx)
	if hasBody {
		w.began = m.now()
	}
	for outer := w.outer; outer != nil; outer = outer.outer {
		if outer.manager != m && outer.manager.settings.CookieName == m.settings.CookieName {
			m.nestedIn(outer.manager, outer.knownRequest())
		}
	}
}

// Value finds the session.
func (x *Exchange) Value(key any) any { return x.writer.value(x.Context, key) }

// Session returns the request's session.
func (x *Exchange) Session() *Session { return x.writer.session() }

// Used reports whether somebody has asked for the session. If nobody has, Finish
// changes nothing in the response's header.
func (x *Exchange) Used() bool { return x.writer.asked() != nil }

// Finish saves the session and completes the response's header, when the handler
// has returned and before the response leaves. It returns the error that
// Settings.OnError has answered: nothing of the handler's own answer may then leave,
// and none of the header fields that Drops names.
//
// Do not call it after a panic: the session then saves nothing.
func (x *Exchange) Finish() error {
	w := &x.writer
	x.finished = true
	status := w.ResponseWriter.(ExchangeServer).Answered()
	w.returned = status == 0
	err := w.begin()
	w.returned = true
	if err == nil && status == http.StatusSwitchingProtocols {
		w.noCaches()
	}
	return err
}

// Drops reports whether a field, in canonical form, describes the answer that
// Settings.OnError has replaced: its body, how long it may be kept, or where the
// client goes next.
func (*Exchange) Drops(field string) bool { return slices.Contains(contentHeaders, field) }

// Locked calls f while no other goroutine uses what Header of the server returns. A body
// that is produced meanwhile may use the session.
func (x *Exchange) Locked(f func()) {
	w := &x.writer
	w.mu.Lock()
	s := w.asked()
	if s == nil {
		defer w.mu.Unlock()
	} else {
		w.mu.Unlock()
		s.mu.Lock()
		defer s.mu.Unlock()
	}
	f()
}

// Look completes the header of a response that has not left after Finish, so that
// the session can still be accessed: by the page for an error, for example. A
// change that needs a cookie comes too late.
func (x *Exchange) Look() {
	s := x.writer.session()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !x.writer.lookable && s.answer.failed == nil {
		s.touched = true
		s.addHeaders()
		x.writer.lookable = true
	}
}

// Late takes the place of Finish if the response has left without the handler, as
// after a time-out. It saves what needs no cookie, and reports the rest as
// EventFailed.
func (x *Exchange) Late() {
	x.finished = true
	w := &x.writer
	if w.made.Load() == nil && w.made.CompareAndSwap(nil, unused) {
		return
	}
	if s := w.asked(); s != nil {
		s.mu.Lock()
		w.returned, w.sent = true, true
		s.mu.Unlock()
		s.afterHeaders()
	}
}

// Close saves changes that came after Finish, when the response has left. A change that
// needs a cookie is an EventFailed. Close does nothing if Finish was not called, and
// nothing the second time. It returns nil.
func (x *Exchange) Close() error {
	if x.closed.Swap(true) {
		return nil
	}
	if s := x.writer.asked(); s != nil && x.finished && s.answer.failed == nil {
		s.afterHeaders()
	}
	x.writer.over.Store(true)
	return nil
}

// incoming returns the request. The lock is held.
func (w *responseWriter) incoming() *http.Request {
	if w.request == nil {
		w.request = w.ResponseWriter.(ExchangeServer).Request()
	}
	return w.request
}

// knownRequest is incoming without the lock.
func (w *responseWriter) knownRequest() *http.Request {
	if w.exchange {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.incoming()
	}
	return w.request
}
