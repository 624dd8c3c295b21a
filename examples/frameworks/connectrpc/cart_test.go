package connectrpc_test

import (
	"context"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"testing"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/examples/frameworks/connectrpc"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/session/sessiontest"
	"github.com/waddle-sessions/waddle/host/store"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// shop is the service on a server, and a client with a cookie jar.
type shop struct {
	store *sessiontest.Store
	add   *connect.Client[wrapperspb.StringValue, wrapperspb.Int64Value]
	watch *connect.Client[emptypb.Empty, wrapperspb.StringValue]
	logIn *connect.Client[wrapperspb.StringValue, emptypb.Empty]
	jar   *cookiejar.Jar
}

func overProtocols(t *testing.T, test func(t *testing.T, s *shop)) {
	for name, protocol := range map[string]connect.ClientOption{
		"connect": connect.WithClientOptions(), "JSON": connect.WithProtoJSON(), "gRPC": connect.WithGRPC(), "gRPC-Web": connect.WithGRPCWeb(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &shop{store: sessiontest.NewStore(store.NewMemory())}
			sessions, err := session.New(s.store, session.Settings{OnError: connectrpc.OnError(), OnEvent: func(context.Context, session.Event) {}})
			require.NoError(t, err)
			server := httptest.NewUnstartedServer(connectrpc.Handler(sessions))
			server.Config.Protocols = new(http.Protocols)
			server.Config.Protocols.SetHTTP1(true)
			server.Config.Protocols.SetUnencryptedHTTP2(true)
			server.Start()
			t.Cleanup(server.Close)
			url := server.URL
			s.jar, err = cookiejar.New(nil)
			require.NoError(t, err)
			transport := &http.Transport{Protocols: new(http.Protocols)}
			transport.Protocols.SetHTTP1(name != "gRPC")
			transport.Protocols.SetUnencryptedHTTP2(name == "gRPC")
			t.Cleanup(transport.CloseIdleConnections)
			client := &http.Client{Jar: s.jar, Transport: transport}
			s.add = connect.NewClient[wrapperspb.StringValue, wrapperspb.Int64Value](client, url+connectrpc.ProcedureAdd, protocol)
			s.watch = connect.NewClient[emptypb.Empty, wrapperspb.StringValue](client, url+connectrpc.ProcedureWatch, protocol)
			s.logIn = connect.NewClient[wrapperspb.StringValue, emptypb.Empty](client, url+connectrpc.ProcedureLogIn, protocol)
			test(t, s)
		})
	}
}

func (s *shop) items(ctx context.Context) (all []string, err error) {
	stream, err := s.watch.CallServerStream(ctx, connect.NewRequest(&emptypb.Empty{}))
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	for stream.Receive() {
		all = append(all, stream.Msg().Value)
	}
	return all, stream.Err()
}

// TestCart: calls of one client share a session, which a log-in renews.
func TestCart(t *testing.T) {
	t.Parallel()
	overProtocols(t, func(t *testing.T, s *shop) {
		ctx := t.Context()
		for i, item := range []string{"tea", "milk"} {
			n, err := s.add.CallUnary(ctx, connect.NewRequest(wrapperspb.String(item)))
			require.NoError(t, err)
			require.EqualValues(t, i+1, n.Msg.Value)
			require.Equal(t, i == 0, n.Header().Get("Set-Cookie") != "", "the first answer has the cookie")
		}
		in, err := s.logIn.CallUnary(ctx, connect.NewRequest(wrapperspb.String("ada")))
		require.NoError(t, err)
		require.NotEmpty(t, in.Header().Get("Set-Cookie"))
		all, err := s.items(ctx)
		require.NoError(t, err)
		require.Equal(t, []string{"tea", "milk"}, all)
	})
}

// TestUnavailable: a storage that is down is an error of the call, with the time to
// wait, for calls and streams.
func TestUnavailable(t *testing.T) {
	t.Parallel()
	overProtocols(t, func(t *testing.T, s *shop) {
		ctx := t.Context()
		_, err := s.logIn.CallUnary(ctx, connect.NewRequest(wrapperspb.String("ada")))
		require.NoError(t, err)
		s.store.Fail(store.ErrUnavailable)
		_, added := s.add.CallUnary(ctx, connect.NewRequest(wrapperspb.String("tea")))
		_, in := s.logIn.CallUnary(ctx, connect.NewRequest(wrapperspb.String("bob")))
		_, watched := s.items(ctx)
		for call, err := range map[string]error{"add": added, "log in": in, "watch": watched} {
			var failed *connect.Error
			require.ErrorAs(t, err, &failed, call)
			require.Equal(t, connect.CodeUnavailable, failed.Code(), call)
			require.Equal(t, "the session storage is not available", failed.Message(), call)
			require.Len(t, failed.Details(), 1, call)
			detail, err := failed.Details()[0].Value()
			require.NoError(t, err)
			require.EqualValues(t, 1, detail.(*errdetails.RetryInfo).RetryDelay.Seconds, call)
			require.Equal(t, "1", failed.Meta().Get("Retry-After"), call)
		}
	})
}
