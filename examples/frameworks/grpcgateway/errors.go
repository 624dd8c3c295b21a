package grpcgateway

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Errors is a gRPC server's interceptor that gives errors of sessions their codes,
// an unavailable storage also the time to wait.
func Errors(ctx context.Context, r any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	answer, err := next(ctx, r)
	return answer, coded(err)
}

// ErrorHandler is for [runtime.WithErrorHandler]. It answers for errors of procedures, and says when to try again.
func ErrorHandler(ctx context.Context, mux *runtime.ServeMux, m runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error) {
	err = coded(err) // no interceptor runs in the same process
	for _, detail := range status.Convert(err).Details() {
		if retry, ok := detail.(*errdetails.RetryInfo); ok {
			wait := retry.GetRetryDelay().AsDuration()
			w.Header().Set("Retry-After", strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10))
		}
	}
	runtime.DefaultHTTPErrorHandler(ctx, mux, m, w, r, err)
}

// coded gives an error of a session its status. The client gets a general text.
func coded(err error) error {
	var s interface{ GRPCStatus() *status.Status }
	if err == nil || errors.As(err, &s) {
		return err
	}
	switch wait, again := session.RetryAfter(err); {
	case again:
		failed, detailed := status.New(codes.Unavailable, "the session storage is not available").WithDetails(
			&errdetails.RetryInfo{RetryDelay: durationpb.New(wait)})
		if detailed != nil {
			return status.Error(codes.Unavailable, "the session storage is not available")
		}
		return failed.Err()
	case errors.Is(err, session.ErrTooLarge), errors.Is(err, store.ErrTooLarge):
		return status.Error(codes.ResourceExhausted, "the session would be too large")
	case errors.Is(err, session.ErrGone):
		return status.Error(codes.Aborted, "the session has ended")
	case errors.Is(err, session.ErrCrossSite), errors.Is(err, session.ErrCSRF):
		return status.Error(codes.PermissionDenied, "the request came from another site")
	}
	return err
}
