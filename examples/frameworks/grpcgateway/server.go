package grpcgateway

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// NewServer returns a gRPC server with the service. Its transport must be one that
// only the gateway reaches: mutual TLS, or a unix socket.
func NewServer(cart *Cart, options ...grpc.ServerOption) *grpc.Server {
	server := grpc.NewServer(append(options, grpc.ChainUnaryInterceptor(Errors))...)
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: service,
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Add", Handler: handlerOf(methodAdd)}, {MethodName: "LogIn", Handler: handlerOf(methodLogIn)}},
	}, cart)
	return server
}

// handlerOf is what generated code has for each method.
func handlerOf(method string) grpc.MethodHandler {
	return func(server any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
		argument := new(wrapperspb.StringValue)
		if err := decode(argument); err != nil {
			return nil, err
		}
		return intercept(ctx, argument, &grpc.UnaryServerInfo{Server: server, FullMethod: method}, func(ctx context.Context, argument any) (any, error) {
			return server.(*Cart).call(ctx, method, argument.(proto.Message))
		})
	}
}

func (c *Cart) call(ctx context.Context, method string, argument proto.Message) (proto.Message, error) {
	text, ok := argument.(*wrapperspb.StringValue)
	switch {
	case ok && method == methodAdd:
		return c.Add(ctx, text)
	case ok && method == methodLogIn:
		return c.LogIn(ctx, text)
	}
	return nil, fmt.Errorf("found a call of %s with a %T: must be a method of the service with its argument", method, argument)
}
