package keepers

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
)

// Hosted is a tenant of a running 'waddle host', at its admin interface.
type Hosted struct {
	client *client
	path   string
}

var _ Keeper = (*Hosted)(nil)

// NewHosted returns the keeper of a tenant, at http://HOST:PORT, https://HOST:PORT or
// unix:PATH, with the token of the admin interface. It does not connect yet.
func NewHosted(addr string, t TLS, tenant, token string) (*Hosted, error) {
	c, err := newClient(addr, t)
	if err != nil {
		return nil, err
	}
	c.token = token
	return &Hosted{c, "/api/tenants/" + url.PathEscape(tenant) + "/sessions"}, nil
}

func (h *Hosted) ask(ctx context.Context, method, path string, out any) error {
	return h.client.ask(ctx, method, h.path+path, nil, out)
}

type hostedList struct {
	Count    int64
	Complete bool
	Sessions []Session
}

// Count implements [Keeper].
func (h *Hosted) Count(ctx context.Context) (int64, error) {
	var out hostedList
	if err := h.ask(ctx, http.MethodGet, "?limit=0", &out); err != nil {
		return 0, err
	}
	if !out.Complete {
		return out.Count, fmt.Errorf("there are more than %d sessions: the server had no time to count all", out.Count)
	}
	return out.Count, nil
}

// List implements [Keeper].
func (h *Hosted) List(ctx context.Context, user string, limit int) (list []Session, more bool, err error) {
	if limit < 1 || limit > maxListed {
		limit = maxListed
	}
	query := url.Values{"limit": {strconv.Itoa(limit)}}
	if user != "" {
		query.Set("user", user)
	}
	var out hostedList
	err = h.ask(ctx, http.MethodGet, "?"+query.Encode(), &out)
	return out.Sessions, !out.Complete || out.Count > int64(len(out.Sessions)), err
}

// Show implements [Keeper].
func (h *Hosted) Show(ctx context.Context, handle string) (d Detail, err error) {
	err = h.ask(ctx, http.MethodGet, "/"+url.PathEscape(handle), &d)
	return d, ofOne(err)
}

// End implements [Keeper].
func (h *Hosted) End(ctx context.Context, handle string) (bool, error) {
	err := ofOne(h.ask(ctx, http.MethodDelete, "/"+url.PathEscape(handle), nil))
	if err == ErrNone {
		return false, nil
	}
	return err == nil, err
}

// ofOne returns the error that an answer about one session stands for. An answer about an
// unknown tenant stays as it is.
func ofOne(err error) error {
	p, ok := err.(*problem)
	switch {
	case ok && p.status == http.StatusConflict:
		return ErrMoved
	case ok && p.status == http.StatusNotFound && p.message == NoSession:
		return ErrNone
	}
	return err
}

// NoSession is the message of the admin interface for a handle that no session has.
const NoSession = "there is no such session any more; list them again"

// EndUser implements [Keeper].
func (h *Hosted) EndUser(ctx context.Context, user string) (int, error) {
	var out struct{ Ended int }
	err := h.ask(ctx, http.MethodDelete, "?"+url.Values{"user": {user}}.Encode(), &out)
	return out.Ended, err
}

// Close implements [Keeper].
func (h *Hosted) Close() error {
	h.client.http.CloseIdleConnections()
	return nil
}
