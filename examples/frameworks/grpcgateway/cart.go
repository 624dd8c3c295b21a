package grpcgateway

import (
	"context"

	"github.com/waddle-sessions/waddle/host/session"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

var items = session.NewKey[[]string]("items")

// SessionID is the name in the metadata that has the session's id, for a gRPC server
// behind the gateway. An id is a secret: let only the gateway reach that server.
const SessionID = "session-id"

// Cart is the service. It works in the gateway's process and behind a connection.
type Cart struct {
	// Sessions are those of the gateway: of the same storage, with the same settings.
	Sessions *session.Manager
}

// current returns the session of a call. In the gateway's process it is saved with the
// response. Behind a connection nobody does that: call Update, Increment or Save.
func (c *Cart) current(ctx context.Context) (*session.Session, error) {
	if s, ok := session.FromContext(ctx); ok {
		return s, nil
	}
	ids := metadata.ValueFromIncomingContext(ctx, SessionID)
	if len(ids) != 1 || ids[0] == "" {
		return nil, status.Error(codes.FailedPrecondition, "the call has no session: it must come through the gateway")
	}
	return c.Sessions.Session(ctx, ids[0]), nil
}

// Add puts an item into the visitor's cart and returns the cart.
func (c *Cart) Add(ctx context.Context, item *wrapperspb.StringValue) (*structpb.ListValue, error) {
	s, err := c.current(ctx)
	if err != nil {
		return nil, err
	}
	cart, err := items.Update(s, func(cart []string) ([]string, error) { return append(cart, item.Value), nil })
	if err != nil {
		return nil, err
	}
	answer := new(structpb.ListValue)
	for _, item := range cart {
		answer.Values = append(answer.Values, structpb.NewStringValue(item))
	}
	return answer, nil
}

// LogIn checks who it is, here by a list of one, and returns the user's name. The
// gateway then renews the session's id: only it can send the new cookie.
func (c *Cart) LogIn(_ context.Context, user *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
	if user.Value != "ada" {
		return nil, status.Error(codes.PermissionDenied, "there is no such user")
	}
	return user, nil
}
