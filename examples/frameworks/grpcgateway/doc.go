// Package grpcgateway shows sessions around grpc-gateway, which answers HTTP by the
// procedures of a gRPC service: in the same process, where a procedure finds its
// session in its context, and behind a gRPC connection, where it gets the session's
// id in the metadata.
package grpcgateway
