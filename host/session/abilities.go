package session

import (
	"bufio"
	"net"
	"net/http"
)

// abilities is a set of what a ResponseWriter can do beyond its three methods:
// one bit for each interface that handlers ask for by type assertion.
type abilities uint8

const (
	canFlush abilities = 1 << iota
	canHijack
	canCloseNotify
	canPush
)

// abilitiesOf returns what a writer can do, by itself or, as
// [http.ResponseController] does it, through the writers it wraps.
func abilitiesOf(w http.ResponseWriter) (can abilities) {
	for {
		if own, ok := w.(interface{ core() *responseWriter }); ok {
			return can | own.core().can // not by its FlushError, which it always has
		}
		switch w.(type) {
		case http.Flusher, interface{ FlushError() error }:
			can |= canFlush
		}
		if _, ok := w.(http.Hijacker); ok {
			can |= canHijack
		}
		//lint:ignore SA1019 gin and others still ask for it
		if _, ok := w.(http.CloseNotifier); ok {
			can |= canCloseNotify
		}
		if _, ok := w.(http.Pusher); ok {
			can |= canPush
		}
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return can
		}
		w = wrapper.Unwrap()
	}
}

// beneath returns the nearest writer beneath this one that is a T.
func beneath[T any](w *responseWriter) (t T, ok bool) {
	for next := w.ResponseWriter; ; {
		if t, ok = next.(T); ok {
			return t, true
		}
		wrapper, wraps := next.(interface{ Unwrap() http.ResponseWriter })
		if !wraps {
			return t, false
		}
		next = wrapper.Unwrap()
	}
}

// The types below show handlers the one writer of a request. Each claims some of
// what a writer can do. All lie at the same place in memory, and those of one
// shape are converted into each other. No real writer does several things but not
// flush; one that does is shown as able to do one of them.
type (
	hijacker      struct{ responseWriter }
	closeNotifier struct{ responseWriter }
	pusher        struct{ responseWriter }
	flusher       struct{ responseWriter }

	flusherHijacker              struct{ flusher }
	flusherCloseNotifier         struct{ flusher }
	flusherPusher                struct{ flusher }
	flusherHijackerCloseNotifier struct{ flusher }
	flusherHijackerPusher        struct{ flusher }
	flusherCloseNotifierPusher   struct{ flusher }
	ableWriter                   struct{ flusher } // can do all of it
)

// as returns the writer as a type that claims these abilities, and records them.
func (w *ableWriter) as(can abilities) http.ResponseWriter {
	w.can = can
	switch can {
	case canFlush:
		return &w.flusher
	case canFlush | canHijack:
		return (*flusherHijacker)(w)
	case canFlush | canCloseNotify:
		return (*flusherCloseNotifier)(w)
	case canFlush | canPush:
		return (*flusherPusher)(w)
	case canFlush | canHijack | canCloseNotify:
		return (*flusherHijackerCloseNotifier)(w)
	case canFlush | canHijack | canPush:
		return (*flusherHijackerPusher)(w)
	case canFlush | canCloseNotify | canPush:
		return (*flusherCloseNotifierPusher)(w)
	case canFlush | canHijack | canCloseNotify | canPush:
		return w
	}
	core := &w.flusher
	switch {
	case can&canHijack != 0:
		return (*hijacker)(core)
	case can&canCloseNotify != 0:
		return (*closeNotifier)(core)
	case can&canPush != 0:
		return (*pusher)(core)
	}
	return &core.responseWriter
}

func (w *flusher) Flush() { _ = w.FlushError() }

func (w *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error)        { return w.hijack() }
func (w *flusherHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) { return w.hijack() }
func (w *flusherHijackerCloseNotifier) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.hijack()
}
func (w *flusherHijackerPusher) Hijack() (net.Conn, *bufio.ReadWriter, error) { return w.hijack() }
func (w *ableWriter) Hijack() (net.Conn, *bufio.ReadWriter, error)            { return w.hijack() }

func (w *closeNotifier) CloseNotify() <-chan bool                { return w.closeNotify() }
func (w *flusherCloseNotifier) CloseNotify() <-chan bool         { return w.closeNotify() }
func (w *flusherHijackerCloseNotifier) CloseNotify() <-chan bool { return w.closeNotify() }
func (w *flusherCloseNotifierPusher) CloseNotify() <-chan bool   { return w.closeNotify() }
func (w *ableWriter) CloseNotify() <-chan bool                   { return w.closeNotify() }

func (w *pusher) Push(target string, o *http.PushOptions) error        { return w.push(target, o) }
func (w *flusherPusher) Push(target string, o *http.PushOptions) error { return w.push(target, o) }
func (w *flusherHijackerPusher) Push(target string, o *http.PushOptions) error {
	return w.push(target, o)
}
func (w *flusherCloseNotifierPusher) Push(target string, o *http.PushOptions) error {
	return w.push(target, o)
}
func (w *ableWriter) Push(target string, o *http.PushOptions) error { return w.push(target, o) }

func (w *responseWriter) core() *responseWriter { return w }

func (w *responseWriter) closeNotify() <-chan bool {
	//lint:ignore SA1019 gin and others still ask for it
	if n, ok := beneath[http.CloseNotifier](w); ok {
		return n.CloseNotify()
	}
	return nil // never reached: it is claimed only if a writer beneath has it
}

func (w *responseWriter) push(target string, o *http.PushOptions) error {
	if p, ok := beneath[http.Pusher](w); ok {
		return p.Push(target, o)
	}
	return http.ErrNotSupported
}
