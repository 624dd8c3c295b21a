package hosting

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/keepers"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/tenant"
)

const (
	// deployWithin bounds how long a deploy is waited for: a large module takes seconds to
	// compile.
	deployWithin = 2 * time.Minute

	// listWithin bounds how long sessions are counted.
	listWithin = 20 * time.Second

	listed    = 100
	maxListed = 10_000
)

func (a *Admin) api() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/tenants", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, a.snapshots.take()) })
	mux.HandleFunc("GET /api/tenants/{name}", a.withTenant(func(w http.ResponseWriter, _ *http.Request, t *tenant.Tenant) {
		writeJSON(w, http.StatusOK, viewOf(t))
	}))
	mux.HandleFunc("PUT /api/tenants/{name}", a.apiPut)
	mux.HandleFunc("DELETE /api/tenants/{name}", func(w http.ResponseWriter, r *http.Request) {
		answer(w, a.remove(r.Context(), r.PathValue("name")))
	})
	mux.HandleFunc("POST /api/tenants/{name}/sleep", func(w http.ResponseWriter, r *http.Request) {
		answer(w, a.sleep(r.Context(), r.PathValue("name")))
	})
	mux.HandleFunc("GET /api/tenants/{name}/sessions", a.withTenant(a.apiSessions))
	mux.HandleFunc("DELETE /api/tenants/{name}/sessions", a.withTenant(apiEndUser))
	mux.HandleFunc("GET /api/tenants/{name}/sessions/{handle}", a.withTenant(apiSession))
	mux.HandleFunc("DELETE /api/tenants/{name}/sessions/{handle}", func(w http.ResponseWriter, r *http.Request) {
		answer(w, a.end(r.Context(), r.PathValue("name"), r.PathValue("handle")))
	})
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, http.StatusNotFound, "there is nothing at "+strconv.Quote(r.Method+" "+r.URL.Path)+"; 'waddle help host' lists what there is")
	})
	return mux
}

func (a *Admin) withTenant(next func(http.ResponseWriter, *http.Request, *tenant.Tenant)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		t, ok := a.config.Host.Tenant(r.PathValue("name"))
		if !ok {
			answer(w, unknown(r.PathValue("name")))
			return
		}
		next(w, r, t)
	}
}

func unknown(name string) error { return fmt.Errorf("%w: %q", tenant.ErrUnknown, name) }

func (a *Admin) apiPut(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxManifest))
	if err != nil {
		answer(w, err)
		return
	}
	answer(w, a.deploy(r.Context(), r.PathValue("name"), body))
}

// deploy deploys a manifest. An empty name is whichever the manifest has.
func (a *Admin) deploy(ctx context.Context, name string, content []byte) error {
	m, err := tenant.ParseManifest(content)
	if err != nil {
		return err
	}
	if name != "" && m.Name != name {
		return fmt.Errorf("%w: its name is %q: must be %q, as in the address", tenant.ErrManifest, m.Name, name)
	}
	defer a.snapshots.forget()
	ctx, cancel := context.WithTimeout(ctx, deployWithin)
	defer cancel()
	return a.config.Directory.Put(ctx, m, content)
}

func (a *Admin) remove(ctx context.Context, name string) error {
	defer a.snapshots.forget()
	return a.config.Directory.Delete(ctx, name)
}

func (a *Admin) sleep(ctx context.Context, name string) error {
	t, ok := a.config.Host.Tenant(name)
	if !ok {
		return unknown(name)
	}
	defer a.snapshots.forget()
	return t.Sleep(ctx)
}

func (a *Admin) end(ctx context.Context, name, handle string) error {
	t, ok := a.config.Host.Tenant(name)
	if !ok {
		return unknown(name)
	}
	ended, err := t.Manager().RevokeHandle(ctx, handle)
	if err == nil && !ended {
		return errNoSession
	}
	return err
}

var errNoSession = errors.New(keepers.NoSession)

// sessionList is a tenant's sessions, as far as they were listed.
type sessionList struct {
	Count    int               `json:"count"`
	Complete bool              `json:"complete"` // false if there was no time to count all
	Sessions []keepers.Session `json:"sessions"`
}

// sessionsOf counts a tenant's sessions, or those of one of its users, and lists the first
// of them.
func sessionsOf(ctx context.Context, t *tenant.Tenant, user string, limit int) (list sessionList, err error) {
	ctx, cancel := context.WithTimeout(ctx, listWithin)
	defer cancel()
	list.Sessions = []keepers.Session{}
	for s, err := range keepers.Infos(ctx, t.Manager(), user) {
		if err != nil && ctx.Err() != nil && list.Count > 0 {
			return list, nil
		}
		if err != nil {
			return list, err
		}
		if list.Count++; len(list.Sessions) < limit {
			list.Sessions = append(list.Sessions, keepers.SessionOf(s))
		}
	}
	list.Complete = true
	return list, nil
}

func (a *Admin) apiSessions(w http.ResponseWriter, r *http.Request, t *tenant.Tenant) {
	limit := listed
	if text := r.URL.Query().Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > maxListed {
			writeError(w, http.StatusBadRequest, fmt.Sprintf("limit is %.40q: must be a number from 0 to %d", text, maxListed))
			return
		}
		limit = n
	}
	list, err := sessionsOf(r.Context(), t, r.URL.Query().Get("user"), limit)
	if err != nil {
		answer(w, err)
		return
	}
	writeJSON(w, http.StatusOK, list)
}

// apiSession shows a session with its values.
func apiSession(w http.ResponseWriter, r *http.Request, t *tenant.Tenant) {
	d, err := t.Manager().SessionByHandle(r.Context(), r.PathValue("handle"))
	if errors.Is(err, store.ErrNotFound) {
		err = errNoSession
	}
	if err != nil {
		answer(w, err)
		return
	}
	writeJSON(w, http.StatusOK, keepers.DetailOf(d))
}

// apiEndUser ends all sessions of a user.
func apiEndUser(w http.ResponseWriter, r *http.Request, t *tenant.Tenant) {
	user := r.URL.Query().Get("user")
	if user == "" {
		writeError(w, http.StatusBadRequest, "user is missing: must be the name of the user whose sessions are ended")
		return
	}
	n, err := t.Manager().RevokeAll(r.Context(), user)
	if err != nil {
		answer(w, err)
		return
	}
	writeJSON(w, http.StatusOK, struct {
		Ended int `json:"ended"`
	}{n})
}

// statusOf returns the status of an answer to what has failed.
func statusOf(err error) int {
	var large *http.MaxBytesError
	switch {
	case errors.Is(err, tenant.ErrUnknown), errors.Is(err, errNoSession):
		return http.StatusNotFound
	case errors.Is(err, tenant.ErrManifest):
		return http.StatusBadRequest
	case errors.Is(err, ErrConflict), errors.Is(err, tenant.ErrHostName), errors.Is(err, session.ErrRenewed):
		return http.StatusConflict
	case errors.As(err, &large):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, store.ErrUnsupported):
		return http.StatusNotImplemented
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, store.ErrUnavailable):
		return http.StatusServiceUnavailable
	case errors.Is(err, errKeeping):
		return http.StatusInternalServerError
	}
	return http.StatusUnprocessableEntity // a plugin that cannot be run
}

// answer says that something was done, or why not.
func answer(w http.ResponseWriter, err error) {
	if err != nil {
		writeError(w, statusOf(err), err.Error())
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func writeError(w http.ResponseWriter, status int, message string) {
	writeJSON(w, status, struct {
		Error string `json:"error"`
	}{message})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		status, b = http.StatusInternalServerError, []byte(`{"error": "the answer cannot be encoded"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // a client that left needs no answer
}
