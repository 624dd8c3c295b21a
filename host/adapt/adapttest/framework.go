package adapttest

import (
	"crypto/tls"
	"net/http"
	"testing"
	"time"

	"github.com/waddle-sessions/waddle/host/session"
	"go.opentelemetry.io/otel/trace"
)

// Framework is a web framework with sessions in it.
type Framework struct {
	// Name is the framework's row in the table.
	Name string

	// Start serves the routes on a free port of this machine until the test ends, and
	// returns the address, such as http://127.0.0.1:4711. It may be called by several
	// tests at once. Its manager serves all routes but the bare ones, through the
	// adapter under test.
	Start func(t testing.TB, m *session.Manager, o Options) (url string)

	// No has the behaviours that the framework cannot have, with the reasons. Run fails if
	// one of them works after all.
	No map[Behaviour]string

	// Client is for a framework with a protocol of its own. It turns a request of the
	// suite into one of that protocol, sends it by the transport that it is given, and
	// turns the answer back. Nil sends requests as they are.
	Client func(transport http.RoundTripper) http.RoundTripper
}

// Options say what a server must have. The zero value is plain HTTP/1.1 with the
// routes, and nothing in between but the framework's recovery from panics.
type Options struct {
	// Routes are the routes to serve. Any other path gets the framework's answer for a path
	// that is not found. The framework recovers from a handler's panic outside of the sessions,
	// and answers 500.
	Routes []Route

	// TLS is nil for plain HTTP/1.1. Otherwise the server speaks TLS with it, and HTTP/2 if
	// the framework has that.
	TLS *tls.Config

	// Compression says where the framework compresses responses by gzip, for clients that
	// accept it.
	Compression Place

	// TimeLimit says where the framework ends requests that take longer than Limit: it
	// cancels their context, or answers in the handler's place, or both.
	TimeLimit Place
	Limit     time.Duration

	// Tracing says where the framework makes a span of kind server for each request, by
	// Tracers.
	Tracing Place
	Tracers trace.TracerProvider

	// Logged is called after each request, from outside of the sessions and of all else, with
	// the status and the size of the body as the framework's own logger sees them. The size
	// is -1 if a logger cannot see it.
	Logged func(status int, size int64)
}

// Place is where middleware stands, seen from the sessions.
type Place int

const (
	Nowhere Place = iota
	Outside       // around the sessions
	Inside        // between the sessions and the handler
)

// Behaviour is a column of the table.
type Behaviour string

const (
	// Streaming: what was changed before the first byte is stored by then, and its cookie
	// is in the headers. Chunks arrive while the handler runs. A later change of a known
	// session is stored, and a later one that cannot be stored is an error.
	Streaming Behaviour = "streaming"

	// SSE: events arrive one by one, a log-out elsewhere is noticed between them, and a
	// handler learns that the client has left.
	SSE Behaviour = "SSE"

	// WebSocket: the headers of the handshake's answer have the cookie of a session that is
	// stored by then. Changes while messages are exchanged are stored.
	WebSocket Behaviour = "WebSocket"

	// Hijack: a handler takes the connection over and writes the response by itself, with
	// the cookie. A session that could not get its cookie is refused. Later changes are stored.
	Hijack Behaviour = "hijack"

	// TimeOuts: a request that takes too long gets an error, and its changes are stored
	// all or not at all. A cookie that arrives is that of a session that is stored.
	TimeOuts Behaviour = "time-outs"

	// CompressionInside and CompressionOutside: a page is compressed and has its cookie and
	// both names in Vary, also if it is streamed, and an error page can be read.
	CompressionInside  Behaviour = "compression inside"
	CompressionOutside Behaviour = "compression outside"

	// ReverseProxy: behind a proxy the cookie is Secure exactly if the client's connection
	// is encrypted. A proxy as a handler sends the session's headers and streams.
	ReverseProxy Behaviour = "reverse proxy"

	// HTTP2: many requests on one connection change one session, and no change is lost.
	HTTP2 Behaviour = "HTTP/2"

	// TracingOutside: the request's span has the status that the client gets, is around
	// the storage's spans, and has the session's events.
	TracingOutside Behaviour = "tracing outside"

	// TracingInside: the request's span has the status of the handler, and the session is
	// stored as without tracing.
	TracingInside Behaviour = "tracing inside"
)

// Behaviours are the columns of the table, in their order.
var Behaviours = []Behaviour{
	Streaming, SSE, WebSocket, Hijack, TimeOuts, CompressionInside, CompressionOutside, ReverseProxy, HTTP2, TracingOutside, TracingInside,
}
