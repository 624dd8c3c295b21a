package keepers

import (
	"context"
	"net/http"
	"strings"
	"time"
)

// connectWithin bounds how long a connection may take; answers take as long as the
// server's storage is large.
const connectWithin = 10 * time.Second

// maxListed is how many sessions a server lists at a time.
const maxListed = 10_000

// Served is a running 'waddle serve', at its operator's address.
type Served struct{ client *client }

var _ Keeper = (*Served)(nil)

// NewServed returns the keeper of unix:PATH or https://HOST:PORT. It does not connect
// yet. It returns ErrAddress for what cannot work.
func NewServed(addr string, t TLS) (*Served, error) {
	c, err := newClient(addr, t)
	if err != nil {
		return nil, err
	}
	return &Served{c}, nil
}

func (s *Served) ask(ctx context.Context, what string, in, out any) error {
	err := s.client.ask(ctx, http.MethodPost, "/v1/admin/"+what, in, out)
	if p, ok := err.(*problem); ok && p.status == http.StatusGone {
		if strings.Contains(p.message, "another handle") {
			return ErrMoved
		}
		return ErrNone
	}
	return err
}

// Count implements [Keeper].
func (s *Served) Count(ctx context.Context) (int64, error) {
	var out struct{ Sessions int64 }
	err := s.ask(ctx, "count", struct{}{}, &out)
	return out.Sessions, err
}

// List implements [Keeper].
func (s *Served) List(ctx context.Context, user string, limit int) (list []Session, more bool, err error) {
	if limit < 1 || limit > maxListed {
		limit = maxListed
	}
	in := struct {
		Limit int    `json:"limit"`
		User  string `json:"user,omitempty"`
	}{limit, user}
	var out struct {
		Sessions []Session
		More     bool
	}
	err = s.ask(ctx, "list", in, &out)
	return out.Sessions, out.More, err
}

// named is a request about one session.
type named struct {
	Handle string `json:"handle"`
}

// Show implements [Keeper].
func (s *Served) Show(ctx context.Context, handle string) (Detail, error) {
	var out struct{ Session Detail }
	err := s.ask(ctx, "show", named{handle}, &out)
	if out.Session.User == "" {
		out.Session.LoggedIn = time.Time{}
	}
	return out.Session, err
}

// End implements [Keeper].
func (s *Served) End(ctx context.Context, handle string) (bool, error) {
	var out struct{ Ended int }
	err := s.ask(ctx, "end", named{handle}, &out)
	return out.Ended > 0, err
}

// EndUser implements [Keeper].
func (s *Served) EndUser(ctx context.Context, user string) (int, error) {
	var out struct{ Ended int }
	err := s.ask(ctx, "end", struct {
		User string `json:"user"`
	}{user}, &out)
	return out.Ended, err
}

// Close implements [Keeper].
func (s *Served) Close() error {
	s.client.http.CloseIdleConnections()
	return nil
}
