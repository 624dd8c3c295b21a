package tenant_test

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/tenant"
)

// TestManagerOfTheProgram: the program makes the managers, over the tenant's store and
// with the settings of the manifest, for the first deploy and for those that change them.
func TestManagerOfTheProgram(t *testing.T) {
	var made atomic.Int64
	refuse := errors.New("not with this name")
	h, _ := newHost(t, tenant.HostConfig{Manager: func(name string, s store.Store, settings session.Settings) (*session.Manager, error) {
		made.Add(1)
		require.Equal(t, "alice", name)
		if settings.CookieName == "refused" {
			return nil, refuse
		}
		settings.CookieName += "_of_" + name
		return session.New(s, settings)
	}})
	alice := deploy(t, h, named("alice"))
	web := serve(t, h, nil, counter())
	_, _, header, err := web.visitor().get("alice.localhost", "/")
	require.NoError(t, err)
	require.Contains(t, header.Get("Set-Cookie"), "session_id_of_alice=")
	m := named("alice")
	m.Session = map[string]string{"SESSION_COOKIE_NAME": "sid"}
	deploy(t, h, m)
	_, _, header, err = web.visitor().get("alice.localhost", "/")
	require.NoError(t, err)
	require.Contains(t, header.Get("Set-Cookie"), "sid_of_alice=")
	m.Session = map[string]string{"SESSION_COOKIE_NAME": "refused"}
	_, err = h.Deploy(t.Context(), m)
	require.ErrorIs(t, err, refuse)
	require.EqualValues(t, 3, made.Load())
	require.Equal(t, "sid", alice.Manifest().Session["SESSION_COOKIE_NAME"], "it goes on as before")
	_, _, header, err = web.visitor().get("alice.localhost", "/")
	require.NoError(t, err)
	require.Contains(t, header.Get("Set-Cookie"), "sid_of_alice=")
}
