package grpcgateway_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"testing"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/klauspost/compress/gzhttp"
	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/examples/frameworks/grpcgateway"
	"github.com/waddle-sessions/waddle/examples/internal/outside"
	"github.com/waddle-sessions/waddle/host/adapt/adapttest"
	"github.com/waddle-sessions/waddle/host/session"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

func TestSuite(t *testing.T) {
	adapttest.Run(t, adapttest.Framework{Name: "grpc-gateway", Start: start})
}

// start serves answers by procedures in the same process. Handlers of the gateway's mux
// serve streams, sockets and files.
func start(t testing.TB, m *session.Manager, o adapttest.Options) string {
	options := []runtime.ServeMuxOption{
		runtime.WithErrorHandler(grpcgateway.ErrorHandler), runtime.WithForwardResponseOption(httpCode),
		runtime.WithMarshalerOption(runtime.MIMEWildcard, &runtime.HTTPBodyMarshaler{Marshaler: &runtime.JSONPb{}}),
		runtime.WithOutgoingHeaderMatcher(func(name string) (string, bool) { return name, name == "location" }),
	}
	mux, bare := runtime.NewServeMux(options...), runtime.NewServeMux(options...)
	root := http.NewServeMux()
	for _, r := range o.Routes {
		to := mux
		if r.Bare {
			to = bare
			root.Handle(r.Path, bare)
		}
		require.NoError(t, to.HandlePath(r.Method, r.Path, func(w http.ResponseWriter, request *http.Request, _ map[string]string) {
			_, out := runtime.MarshalerForRequest(to, request)
			ctx, err := runtime.AnnotateIncomingContext(request.Context(), to, request, "/suite.v1.Suite"+r.Path, runtime.WithHTTPPathPattern(r.Path))
			var transport runtime.ServerTransportStream
			x := &exchange{HTTP: adapttest.HTTP{W: w, R: request}}
			if err == nil {
				ctx = grpc.NewContextWithServerTransportStream(ctx, &transport)
				x.ctx = ctx
				err = r.Handle(x)
			}
			switch ctx = runtime.NewServerMetadataContext(ctx, runtime.ServerMetadata{HeaderMD: transport.Header(), TrailerMD: transport.Trailer()}); {
			case err != nil:
				runtime.HTTPError(request.Context(), to, out, w, request, err)
			case x.answer != nil:
				runtime.ForwardResponseMessage(ctx, to, out, w, request, x.answer, to.GetForwardResponseOptions()...)
			}
		}))
	}
	root.Handle("/", m.Handler(place(adapttest.Inside, mux, o)))
	return adapttest.Serve(t, outside.Logged(o.Logged, outside.Recovered(place(adapttest.Outside, root, o))), o)
}

// httpCode sends the status that a procedure has put into its header.
func httpCode(ctx context.Context, w http.ResponseWriter, _ proto.Message) error {
	md, _ := runtime.ServerMetadataFromContext(ctx)
	if codes := md.HeaderMD.Get("x-http-code"); len(codes) > 0 {
		code, err := strconv.Atoi(codes[0])
		if err != nil {
			return err
		}
		w.WriteHeader(code)
	}
	return nil
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

// exchange answers as a procedure does: by a message and metadata.
type exchange struct {
	adapttest.HTTP
	ctx    context.Context
	answer proto.Message
}

func (x *exchange) Context() context.Context { return x.ctx }

func (x *exchange) Session() *session.Session {
	s, ok := session.FromContext(x.ctx)
	if !ok {
		panic("the call has no session")
	}
	return s
}

// send answers, unless the call's time is over.
func (x *exchange) send(status int, contentType string, body []byte) error {
	if err := x.ctx.Err(); err != nil {
		return err
	}
	x.answer = &httpbody.HttpBody{ContentType: contentType, Data: body}
	return grpc.SetHeader(x.ctx, metadata.Pairs("x-http-code", strconv.Itoa(status)))
}

func (x *exchange) Text(status int, body string) error {
	return x.send(status, "text/plain; charset=utf-8", []byte(body))
}

func (x *exchange) JSON(status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return x.send(status, "application/json", body)
}

func (x *exchange) NoContent(status int) error { return x.send(status, "", nil) }

func (x *exchange) Redirect(status int, to string) error {
	if err := grpc.SetHeader(x.ctx, metadata.Pairs("location", to)); err != nil {
		return err
	}
	return x.send(status, "", nil)
}
