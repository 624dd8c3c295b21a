package connectrpc_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/klauspost/compress/gzhttp"
	"github.com/waddle-sessions/waddle/examples/frameworks/connectrpc"
	"github.com/waddle-sessions/waddle/examples/internal/outside"
	"github.com/waddle-sessions/waddle/host/adapt/adapttest"
	"github.com/waddle-sessions/waddle/host/session"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
)

func TestSuite(t *testing.T) {
	adapttest.Run(t, adapttest.Framework{Name: "connect", Start: start, Client: client, No: map[adapttest.Behaviour]string{
		adapttest.WebSocket:    "a procedure has no connection of its own; a handler beside the service has",
		adapttest.Hijack:       "a procedure has no connection of its own; a handler beside the service has",
		adapttest.ReverseProxy: "a procedure cannot be answered by another server; behind a proxy, cookies are Secure as they should be",
	}})
}

// streams are the suite's routes that are procedures with a stream of answers.
var streams = []string{"/stream", "/late", "/events"}

func start(t testing.TB, m *session.Manager, o adapttest.Options) string {
	mux, bare := http.NewServeMux(), http.NewServeMux()
	options := []connect.HandlerOption{connect.WithInterceptors(connectrpc.Errors{}), connect.WithCodec(raw{}), connect.WithCompression("gzip", nil, nil)}
	for _, r := range o.Routes {
		to := mux
		if r.Bare {
			to = bare
		}
		if slices.Contains(streams, r.Path) {
			to.Handle("POST "+r.Path, connect.NewServerStreamHandlerSimple(r.Path,
				func(ctx context.Context, query *message, out *connect.ServerStream[message]) error {
					return r.Handle(&call{ctx: ctx, query: query.data, out: out})
				}, options...))
			continue
		}
		to.Handle("POST "+r.Path, connect.NewUnaryHandler(r.Path,
			func(ctx context.Context, query *connect.Request[message]) (*connect.Response[message], error) {
				x := &call{ctx: ctx, query: query.Msg.data, answer: connect.NewResponse(new(message))}
				if err := r.Handle(x); err != nil {
					return nil, err
				}
				return x.answer, nil
			}, options...))
	}
	bare.Handle("/", m.Handler(place(adapttest.Inside, statuses(mux), o)))
	return adapttest.Serve(t, outside.Logged(o.Logged, outside.Recovered(place(adapttest.Outside, bare, o))), o)
}

// place puts middleware around a handler if the options want it there.
func place(p adapttest.Place, h http.Handler, o adapttest.Options) http.Handler {
	if o.TimeLimit == p {
		h = http.TimeoutHandler(h, o.Limit, "this takes too long")
	}
	if o.Compression == p {
		h = gzhttp.GzipHandler(h)
	}
	if o.Tracing == p {
		h = otelhttp.NewHandler(h, "server", otelhttp.WithTracerProvider(o.Tracers))
	}
	return h
}

// message is what the suite's procedures take and return. The codec raw sends it as
// it is, so that sizes are those of the suite's texts.
type message struct{ data []byte }

type raw struct{}

func (raw) Name() string { return "raw" }

func (raw) Marshal(m any) ([]byte, error) { return m.(*message).data, nil }

func (raw) Unmarshal(data []byte, m any) error {
	m.(*message).data = bytes.Clone(data)
	return nil
}

// call is an Exchange in a procedure: the answer of a unary one, or a stream.
type call struct {
	ctx    context.Context
	query  []byte
	answer *connect.Response[message]
	out    *connect.ServerStream[message]
}

func (x *call) Session() *session.Session {
	s, ok := session.FromContext(x.ctx)
	if !ok {
		panic("the call has no session")
	}
	return s
}

func (x *call) Context() context.Context { return x.ctx }

func (x *call) Query(name string) string {
	query, err := url.ParseQuery(string(x.query))
	if err != nil {
		return ""
	}
	return query.Get(name)
}

// Text answers, unless the call's time is over.
func (x *call) Text(status int, body string) error {
	if err := x.ctx.Err(); err != nil {
		return err
	}
	x.answer.Header().Set("X-Status", strconv.Itoa(status))
	x.answer.Msg.data = []byte(body)
	return nil
}

func (x *call) JSON(status int, v any) error {
	return x.Text(status, strconv.Itoa(v.(int)))
}

func (x *call) NoContent(status int) error { return x.Text(status, "") }

func (x *call) Redirect(status int, to string) error {
	x.answer.Header().Set("Location", to)
	return x.Text(status, "")
}

func (x *call) File(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return x.Text(http.StatusOK, string(data))
}

// Write sends a message.
func (x *call) Write(p []byte) (int, error) {
	return len(p), x.out.Send(&message{bytes.Clone(p)})
}

func (x *call) Stream(contentType string, f func(w io.Writer, flush func() error) error) error {
	x.out.ResponseHeader().Set("X-Content-Type", contentType)
	return f(x, func() error { return nil }) // each message leaves at once
}

func (x *call) Events(f func(send func(name, data string) error) error) error {
	return x.Stream("text/event-stream", func(w io.Writer, _ func() error) error {
		return f(func(name, data string) error {
			_, err := io.WriteString(w, "event: "+name+"\ndata: "+data+"\n\n")
			return err
		})
	})
}

var errNotHere = connect.NewError(connect.CodeUnimplemented, errors.New("a procedure cannot do this"))

func (x *call) WebSocket(func(adapttest.Socket) error) error   { return errNotHere }
func (x *call) Hijack(func(net.Conn, http.Header) error) error { return errNotHere }
func (x *call) Proxy(*url.URL) error                           { return errNotHere }

// client sends the suite's requests as calls. Calls have codes where the suite looks
// at statuses, so the status of a success is in a header, see statuses.
func client(transport http.RoundTripper) http.RoundTripper { return &caller{transport} }

type caller struct{ transport http.RoundTripper }

func (c *caller) RoundTrip(r *http.Request) (*http.Response, error) {
	if slices.Contains(streams, r.URL.Path) {
		return c.stream(r)
	}
	out := r.Clone(r.Context())
	out.Method, out.Body, out.ContentLength = http.MethodPost, io.NopCloser(strings.NewReader(r.URL.RawQuery)), int64(len(r.URL.RawQuery))
	out.Header.Set("Content-Type", "application/raw")
	out.Header.Set("Connect-Protocol-Version", "1")
	return c.transport.RoundTrip(out)
}

// stream calls a procedure with a stream of answers by connect's own client.
func (c *caller) stream(r *http.Request) (*http.Response, error) {
	procedure := *r.URL
	procedure.RawQuery = ""
	answer := &http.Response{StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Header: make(http.Header), Request: r}
	rpc := connect.NewClient[message, message](&http.Client{Transport: c.transport}, procedure.String(), connect.WithCodec(raw{}))
	request := connect.NewRequest(&message{[]byte(r.URL.RawQuery)})
	request.Header().Set("Cookie", r.Header.Get("Cookie"))
	in, err := rpc.CallServerStream(r.Context(), request)
	if err != nil {
		return nil, err
	}
	first := in.Receive() // the headers come with it
	answer.Header = in.ResponseHeader().Clone()
	answer.Header.Set("Content-Type", answer.Header.Get("X-Content-Type"))
	body, to := io.Pipe()
	go func() {
		for more := first; more; more = in.Receive() {
			if _, err := to.Write(in.Msg().data); err != nil {
				break
			}
		}
		_ = to.CloseWithError(in.Err())
		_ = in.Close()
	}()
	answer.Body = body
	return answer, nil
}

// statuses sends the status that a procedure put into a header.
func statuses(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(&statusWriter{w}, r)
		if w.Header().Get("X-Status") != "" { // an empty message is not written
			(&statusWriter{w}).WriteHeader(http.StatusOK)
		}
	})
}

type statusWriter struct{ http.ResponseWriter }

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
func (w *statusWriter) Flush()                      { _ = http.NewResponseController(w.ResponseWriter).Flush() }

func (w *statusWriter) WriteHeader(status int) {
	if said, err := strconv.Atoi(w.Header().Get("X-Status")); err == nil && status == http.StatusOK {
		status = said
		w.Header().Del("X-Status")
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(p []byte) (int, error) {
	if w.Header().Get("X-Status") != "" {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(p)
}
