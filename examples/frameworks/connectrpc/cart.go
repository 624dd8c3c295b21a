package connectrpc

import (
	"context"
	"errors"
	"net/http"

	"connectrpc.com/connect"
	"github.com/waddle-sessions/waddle/host/session"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// The procedures of the service. Generated code would have these constants, and
// registers handlers as Handler does.
const (
	ProcedureAdd   = "/cart.v1.CartService/Add"
	ProcedureWatch = "/cart.v1.CartService/Watch"
	ProcedureLogIn = "/cart.v1.CartService/LogIn"
)

var items = session.NewKey[[]string]("items")

// Handler returns the service with sessions around it. Their settings have OnError.
func Handler(sessions *session.Manager) http.Handler {
	mux := http.NewServeMux()
	with := connect.WithInterceptors(Errors{})
	mux.Handle(ProcedureAdd, connect.NewUnaryHandlerSimple(ProcedureAdd, add, with))
	mux.Handle(ProcedureWatch, connect.NewServerStreamHandlerSimple(ProcedureWatch, watch, with))
	mux.Handle(ProcedureLogIn, connect.NewUnaryHandlerSimple(ProcedureLogIn, logIn, with))
	return sessions.Handler(mux)
}

// current returns the session of a call.
func current(ctx context.Context) (*session.Session, error) {
	s, ok := session.FromContext(ctx)
	if !ok {
		return nil, connect.NewError(connect.CodeInternal, errors.New("no sessions are around this service"))
	}
	return s, nil
}

// add puts an item into the visitor's cart and returns how many it has.
func add(ctx context.Context, item *wrapperspb.StringValue) (*wrapperspb.Int64Value, error) {
	s, err := current(ctx)
	if err != nil {
		return nil, err
	}
	cart, err := items.Update(s, func(cart []string) ([]string, error) { return append(cart, item.Value), nil })
	if err != nil {
		return nil, err
	}
	return wrapperspb.Int64(int64(len(cart))), nil
}

// watch sends the items of the cart, one by one.
func watch(ctx context.Context, _ *emptypb.Empty, stream *connect.ServerStream[wrapperspb.StringValue]) error {
	s, err := current(ctx)
	if err != nil {
		return err
	}
	cart, err := items.Get(s)
	if err != nil {
		return err
	}
	for _, item := range cart {
		if err := stream.Send(wrapperspb.String(item)); err != nil {
			return err
		}
	}
	return nil
}

// logIn binds the session to a user and gives it a new id.
func logIn(ctx context.Context, user *wrapperspb.StringValue) (*emptypb.Empty, error) {
	s, err := current(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.LogIn(user.Value, nil); err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, nil
}
