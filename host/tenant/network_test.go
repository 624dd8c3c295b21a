package tenant_test

import (
	"context"
	"encoding/json"
	"net/netip"
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/tenant"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// calling is a manifest of a tenant whose guest imports the functions of a network.
func calling(t *testing.T, name string, network ...string) tenant.Manifest {
	m := named(name)
	m.Plugin, m.Network = source(fixture(t, "netcalls")), network
	return m
}

// A plugin that imports the functions of a network, and whose manifest lists nothing, is refused by
// the name of the function.
func TestNetworkThatAManifestDoesNotList(t *testing.T) {
	h, _ := newHost(t, tenant.HostConfig{Network: tenant.Network{Grant: true}})
	_, err := h.Deploy(ctx, calling(t, "carol"))
	require.ErrorIs(t, err, plugin.ErrGrant)
	require.ErrorContains(t, err, `"waddle_v1"."dial"`)
}

// What a host does not grant is refused with the place in the manifest, before anything runs.
func TestNetworkThatAHostDoesNotGrant(t *testing.T) {
	granting := tenant.Network{Grant: true, Private: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}, Sockets: []string{"/run/redis.sock"}}
	for _, c := range []struct {
		network tenant.Network
		list    []string
		at      string // of what is refused, "" for nothing
	}{
		{tenant.Network{}, []string{"tcp://redis.example.com:6379"}, "$.network"},
		{granting, []string{"tcp://redis.example.com:6379", "tls://*.example.com:1-9", "tcp://10.1.2.3:6379", "tcp://10.1.2.0/24:6379", "unix:///run/redis.sock"}, ""},
		{granting, []string{"tcp://redis.example.com:6379", "tcp://127.0.0.1:6379"}, "$.network[1]"},
		{granting, []string{"tcp://10.2.0.1:6379"}, "$.network[0]"},
		{granting, []string{"unix:///var/run/docker.sock"}, "$.network[0]"},
		{tenant.Network{Grant: true}, []string{"unix:///run/redis.sock"}, "$.network[0]"},
		{tenant.Network{Grant: true}, []string{"tcp://10.1.2.3:6379"}, "$.network[0]"},
	} {
		m := calling(t, "alice", c.list...)
		err := tenant.HostConfig{Network: c.network}.Check(context.Background(), m)
		if c.at == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorIs(t, err, plugin.ErrGrant, "%q", c.list)
		var f *tenant.FieldError
		require.ErrorAs(t, err, &f)
		require.Equal(t, c.at, f.Path)
		require.NotContains(t, f.Problem, "%!")
		require.Greater(t, len(f.Problem), 40, "it says why")
	}
}

func TestNetworkOfAManifest(t *testing.T) {
	for list, why := range map[string]string{
		`["redis:6379"]`:                  "tcp://",
		`["http://example.com:80"]`:       "tcp://",
		`["tcp://example.com"]`:           "port",
		`["tcp://example.com:0"]`:         "port",
		`["tcp://127.1:80"]`:              "number",
		`["tcp://a.*.example.com:80"]`:    "*",
		`["unix://run/redis.sock"]`:       "absolute path",
		`["tcp://10.1.2.3/16:80"]`:        "10.1.0.0/16",
		`["tcp://user@example.com:80"]`:   "no user and no password",
		`["tls://169.254.169.254:443"]`:   "never reached",
		`["tcp://a.example.com:80", "x"]`: "tcp://",
	} {
		_, err := tenant.ParseManifest([]byte(`{"name": "a", "plugin": {"bundled": "memory"}, "network": ` + list + `}`))
		require.ErrorIs(t, err, tenant.ErrManifest, list)
		require.ErrorContains(t, err, why, list)
		require.ErrorContains(t, err, "$.network[", list)
	}
	// The examples of the document.
	document, err := os.ReadFile("MANIFEST.md")
	require.NoError(t, err)
	line := regexp.MustCompile(`(?m)^"network": (\[.+\])$`).FindSubmatch(document)
	require.NotNil(t, line)
	var list []string
	require.NoError(t, json.Unmarshal(line[1], &list))
	require.Greater(t, len(list), 3)
	m, err := tenant.ParseManifest([]byte(`{"name": "a", "plugin": {"bundled": "memory"}, "network": ` + string(line[1]) + `}`))
	require.NoError(t, err)
	require.Equal(t, list, m.Network)
}

func TestNetworkOfAHostConfig(t *testing.T) {
	for _, c := range []struct {
		network tenant.Network
		why     string
	}{
		{tenant.Network{Private: loopback}, "Grant is false"},
		{tenant.Network{Sockets: []string{"/run/x"}}, "Grant is false"},
		{tenant.Network{Grant: true, Sockets: []string{"run/x"}}, "absolute path"},
		{tenant.Network{Grant: true, Private: []netip.Prefix{{}}}, "range of addresses"},
	} {
		_, err := tenant.NewHost(tenant.HostConfig{Network: c.network, Logger: discard})
		require.ErrorContains(t, err, c.why)
		require.ErrorContains(t, err, "HostConfig.Network")
	}
}
