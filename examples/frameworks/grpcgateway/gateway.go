package grpcgateway

import (
	"context"
	"io"
	"net/http"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/waddle-sessions/waddle/host/session"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// The methods of the service, as generated code names them.
const (
	service     = "cart.v1.CartService"
	methodAdd   = "/" + service + "/Add"
	methodLogIn = "/" + service + "/LogIn"
)

// caller calls a method: a procedure of this process, or one behind a connection.
type caller func(ctx context.Context, method string, argument, answer proto.Message) error

// InProcess returns the gateway over a service in the same process.
func InProcess(cart *Cart) (http.Handler, error) {
	return gateway(cart.Sessions, runtime.AnnotateIncomingContext, func(ctx context.Context, method string, argument, answer proto.Message) error {
		returned, err := cart.call(ctx, method, argument)
		if err != nil {
			return err
		}
		proto.Merge(answer, returned)
		return nil
	})
}

// OverConnection returns the gateway over a service behind a connection. A procedure
// that works on the session needs one that is stored, so the gateway begins it.
func OverConnection(sessions *session.Manager, conn grpc.ClientConnInterface) (http.Handler, error) {
	visited := session.NewKey[bool]("visited")
	return gateway(sessions, runtime.AnnotateContext, func(ctx context.Context, method string, argument, answer proto.Message) error {
		if s, ok := session.FromContext(ctx); ok && method != methodLogIn {
			exists, err := s.Exists()
			if err == nil && !exists {
				err = visited.Set(s, true)
			}
			if err != nil {
				return err
			}
			if err := s.Save(); err != nil {
				return err
			}
			id, err := s.ID()
			if err != nil {
				return err
			}
			ctx = metadata.AppendToOutgoingContext(ctx, SessionID, id)
		}
		return conn.Invoke(ctx, method, argument, answer)
	})
}

type annotate func(context.Context, *runtime.ServeMux, *http.Request, string, ...runtime.AnnotateContextOption) (context.Context, error)

// gateway is what generated code registers, with sessions around it.
func gateway(sessions *session.Manager, with annotate, call caller) (http.Handler, error) {
	mux := runtime.NewServeMux(runtime.WithErrorHandler(ErrorHandler), runtime.WithForwardResponseOption(logIn))
	for path, m := range map[string]struct {
		method string
		answer func() proto.Message
	}{
		"/v1/cart/items": {methodAdd, func() proto.Message { return new(structpb.ListValue) }},
		"/v1/log-in":     {methodLogIn, func() proto.Message { return new(wrapperspb.StringValue) }},
	} {
		err := mux.HandlePath(http.MethodPost, path, func(w http.ResponseWriter, r *http.Request, _ map[string]string) {
			in, out := runtime.MarshalerForRequest(mux, r)
			ctx, err := with(r.Context(), mux, r, m.method, runtime.WithHTTPPathPattern(path))
			argument, answer := new(wrapperspb.StringValue), m.answer()
			if err == nil {
				if err = in.NewDecoder(r.Body).Decode(argument); err == io.EOF {
					err = nil
				}
			}
			if err == nil {
				err = call(ctx, m.method, argument, answer)
			}
			if err != nil {
				runtime.HTTPError(r.Context(), mux, out, w, r, err)
				return
			}
			ctx = context.WithValue(ctx, methodKey{}, m.method)
			runtime.ForwardResponseMessage(ctx, mux, out, w, r, answer, mux.GetForwardResponseOptions()...)
		})
		if err != nil {
			return nil, err
		}
	}
	return sessions.Handler(mux), nil
}

type methodKey struct{}

// logIn binds the session to the user that a procedure has found to be genuine. It
// runs before the response, so the cookie with the new id goes out with it.
func logIn(ctx context.Context, _ http.ResponseWriter, answer proto.Message) error {
	user, ok := answer.(*wrapperspb.StringValue)
	if !ok || ctx.Value(methodKey{}) != methodLogIn {
		return nil
	}
	s, ok := session.FromContext(ctx)
	if !ok {
		return nil
	}
	return s.LogIn(user.Value, nil)
}
