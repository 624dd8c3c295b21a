package network

import (
	"context"
	"errors"
	"net"
	"time"
)

// Dialer connects. The zero value is ready to use: it waits by Go's poller, as long as the
// call may wait.
type Dialer struct {
	// Blocking makes connections on which the whole instance waits, with every goroutine.
	// It is for engines that use one goroutine. Natively it makes no difference.
	Blocking bool

	// Timeout bounds how long connecting takes, with TLS. 0 leaves that to the context
	// and to the host's bound of the call.
	Timeout time.Duration
}

// Dial connects to an address. network is "tcp", "tls" for TLS from the first byte, in
// which the server must have a certificate for the host of the address, or "unix".
// The address is host:port, or the path of a socket. The connection is a *[Conn].
func (d *Dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialContext is Dial with a context that bounds connecting and can cancel it. With
// Blocking, only the context's deadline ends a wait: nothing can cancel it meanwhile.
// The context has no effect on the connection afterwards.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	to := &remote{network, address}
	switch network {
	case "tcp", "tls", "unix":
	default:
		return nil, to.failed("dial", net.UnknownNetworkError(network))
	}
	if err := ctx.Err(); err != nil {
		return nil, to.failed("dial", err)
	}
	until := time.Time{}
	if d.Timeout > 0 {
		until = time.Now().Add(d.Timeout)
	}
	if deadline, ok := ctx.Deadline(); ok && (until.IsZero() || deadline.Before(until)) {
		until = deadline
	}
	link, err := d.link(ctx, to, until)
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, to.failed("dial", err)
	}
	return &Conn{remote: to, link: link}, nil
}

// remote is the address of the other side, as it was dialled.
type remote struct{ network, address string }

func (r *remote) Network() string { return r.network }
func (r *remote) String() string  { return r.address }

// failed is an error of an operation, with the address in it.
func (r *remote) failed(op string, err error) error {
	var inner *net.OpError
	if errors.As(err, &inner) { // it names addresses that say nothing, or less
		err = inner.Err
	}
	return &net.OpError{Op: op, Net: r.network, Addr: r, Err: err}
}

// local is the address of this side, which only the host knows.
type local struct{ network string }

func (l local) Network() string { return l.network }
func (l local) String() string  { return "guest" }
