package grpcgateway_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/examples/frameworks/grpcgateway"
	"github.com/waddle-sessions/waddle/host/adapt/adapttest"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/session/sessiontest"
	"github.com/waddle-sessions/waddle/host/store"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// shop is the service behind a gateway, and a browser.
type shop struct {
	url     string
	store   *sessiontest.Store
	browser http.Client
}

func (s *shop) post(t *testing.T, path, body string) (answer *http.Response, text string) {
	t.Helper()
	answer, err := s.browser.Post(s.url+path, "application/json", strings.NewReader(body))
	require.NoError(t, err)
	defer answer.Body.Close()
	read, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer, string(read)
}

// dial runs the service's gRPC server on a unix socket until the test ends.
func dial(t *testing.T, sessions *session.Manager) *grpc.ClientConn {
	t.Helper()
	path := filepath.Join(t.TempDir(), "socket")
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	server := grpcgateway.NewServer(&grpcgateway.Cart{Sessions: sessions})
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient("unix:"+path, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// overForms runs a test in one process and over a connection, where the gRPC server
// has a manager of its own over the same storage, as another process would.
func overForms(t *testing.T, test func(t *testing.T, s *shop)) {
	for _, form := range []string{"in process", "over a connection"} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			s := &shop{store: sessiontest.NewStore(store.NewMemory())}
			quiet := session.Settings{OnEvent: func(context.Context, session.Event) {}}
			sessions, err := session.New(s.store, quiet)
			require.NoError(t, err)
			var h http.Handler
			if form == "in process" {
				h, err = grpcgateway.InProcess(&grpcgateway.Cart{Sessions: sessions})
			} else {
				other, failed := session.New(s.store, quiet)
				require.NoError(t, failed)
				h, err = grpcgateway.OverConnection(sessions, dial(t, other))
			}
			require.NoError(t, err)
			s.url = adapttest.Serve(t, h, adapttest.Options{})
			s.browser.Jar, err = cookiejar.New(nil)
			require.NoError(t, err)
			test(t, s)
		})
	}
}

// TestCart: calls of one browser share a session, whose id a log-in renews.
func TestCart(t *testing.T) {
	overForms(t, func(t *testing.T, s *shop) {
		first, cart := s.post(t, "/v1/cart/items", `"tea"`)
		require.Equal(t, http.StatusOK, first.StatusCode, cart)
		require.JSONEq(t, `["tea"]`, cart)
		require.Len(t, first.Cookies(), 1)
		again, cart := s.post(t, "/v1/cart/items", `"milk"`)
		require.JSONEq(t, `["tea", "milk"]`, cart)
		require.Empty(t, again.Cookies())

		refused, _ := s.post(t, "/v1/log-in", `"eve"`)
		require.Equal(t, http.StatusForbidden, refused.StatusCode)
		require.Empty(t, refused.Cookies())
		in, user := s.post(t, "/v1/log-in", `"ada"`)
		require.JSONEq(t, `"ada"`, user)
		require.Len(t, in.Cookies(), 1)
		require.NotEqual(t, first.Cookies()[0].Value, in.Cookies()[0].Value)
		_, cart = s.post(t, "/v1/cart/items", `"bread"`)
		require.JSONEq(t, `["tea", "milk", "bread"]`, cart)
	})
}

// TestUnavailable: an error of the storage says when to try again.
func TestUnavailable(t *testing.T) {
	overForms(t, func(t *testing.T, s *shop) {
		s.post(t, "/v1/cart/items", `"tea"`)
		for _, path := range []string{"/v1/cart/items", "/v1/log-in"} {
			s.store.Fail(store.ErrUnavailable)
			answer, text := s.post(t, path, `"ada"`)
			s.store.Fail(nil)
			require.Equal(t, http.StatusServiceUnavailable, answer.StatusCode, path)
			require.Equal(t, "1", answer.Header.Get("Retry-After"), path)
			require.Contains(t, text, "session storage is not available", path)
		}
		_, cart := s.post(t, "/v1/cart/items", `"milk"`)
		require.JSONEq(t, `["tea", "milk"]`, cart)
	})
}

// TestWithoutGateway: a call that no gateway has given a session is refused.
func TestWithoutGateway(t *testing.T) {
	t.Parallel()
	sessions, err := session.New(store.NewMemory(), session.Settings{})
	require.NoError(t, err)
	err = dial(t, sessions).Invoke(t.Context(), "/cart.v1.CartService/Add", wrapperspb.String("tea"), new(structpb.ListValue))
	require.Equal(t, codes.FailedPrecondition, status.Code(err))
}
