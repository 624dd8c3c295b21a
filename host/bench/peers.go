package main

import "context"

// Names that the targets refer to.
const (
	nameNative = "waddle, native store"
	nameWasm   = "waddle, wasm memory engine"
	nameSCS    = "scs, memstore"
	nameBare   = "net/http, no sessions"

	nameNativeSealed = nameNative + ", sealed"
	nameWasmSealed   = nameWasm + ", sealed"
)

// peer is a session library with the store that it uses here.
type peer struct {
	name   string
	module string // whose version is reported; "" for none
	note   string // what a reader must know about how it is run
	keeps  bool   // sessions; a peer without sessions measures only opUnused
	sealed bool   // measures only what a sealed session costs more: reads and writes

	// open starts the application. dir is an empty directory of its own. A
	// handler that reads a wrong value reports it to f.
	open func(ctx context.Context, dir string, f *faults) (server, error)
}

// does reports whether the operation is measured.
func (p peer) does(op operation) bool {
	if op == opUnused {
		return !p.sealed
	}
	return p.keeps
}

// server is an application in this process whose pages are the operations.
type server interface {
	// login begins a session that has all values, with the counter at 0.
	login(user string) (client, error)
	close() error
}

// client is the browser of one visitor. One goroutine at a time may use it.
type client interface {
	// request asks for a page and discards the answer. The request was made in
	// advance; no network is involved.
	request(op operation)

	// fetch asks for a page, keeps the cookies that come with it, and returns
	// the body. An answer other than 200 is an error.
	fetch(op operation) (string, error)

	// carries reports whether the values travel in the cookie, so that a
	// session only advances if the client keeps cookies.
	carries() bool
}

// peers are in the order of the table.
func peers() []peer {
	return []peer{
		{name: nameBare, open: openBare},
		{name: nameNative, keeps: true, open: openNative},
		{name: nameNativeSealed, keeps: true, sealed: true, open: openNativeSealed},
		{name: nameWasm, keeps: true, open: openWasm},
		{name: nameWasmSealed, keeps: true, sealed: true, open: openWasmSealed},
		{name: nameSCS, module: "github.com/alexedwards/scs/v2", keeps: true, open: openSCS},
		{name: "gorilla, CookieStore", module: moduleGorilla, keeps: true, open: openGorillaCookie,
			note: "no middleware: a page without a session is the bare page; the cookie is signed and holds the values"},
		{name: nameGorillaFiles, module: moduleGorilla, keeps: true, open: openGorillaFiles,
			note: "no middleware: a page without a session is the bare page; a file per session in the temporary directory"},
		{name: "fasthttp, no sessions", module: "github.com/valyala/fasthttp", open: openFiberBare,
			note: "fiber's app without the session middleware"},
		{name: "fiber, memory storage", module: "github.com/gofiber/fiber/v3", keeps: true, open: openFiber,
			note: "through app.Handler() with a fasthttp.RequestCtx, which is parsed in advance; its middleware loads and saves for every request"},
	}
}
