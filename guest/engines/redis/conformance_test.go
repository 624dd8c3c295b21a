package main

import (
	"strings"
	"testing"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/guesttest"
	"github.com/waddle-sessions/waddle/host/storetest"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

// conforms runs the suite on engines with these settings.
func conforms(t *testing.T, options storetest.Options, settings map[string]string) {
	t.Helper()
	settings["prefix"] = newPrefix()
	guesttest.RunFiles(t, func(string) guest.Engine { return new(engine) }, info,
		guesttest.Options{Options: options, Settings: settings, Namespace: "prefix"})
}

// TestConformance runs the suite over each server that is installed.
func TestConformance(t *testing.T) {
	if testing.Short() {
		t.Skip("makes many thousands of calls of a server")
	}
	eachServer(t, func(t *testing.T, server *backend.Server) {
		conforms(t, storetest.Options{Soak: 10_000, Sequences: 20}, map[string]string{"addresses": server.Addr()})
	})
}

// TestConformanceInACluster runs the suite over a cluster, of which the engine knows one
// node.
func TestConformanceInACluster(t *testing.T) {
	if testing.Short() {
		t.Skip("makes many thousands of calls of a server")
	}
	g := backend.Cluster(t, backend.ClusterOptions{})
	conforms(t, storetest.Options{Soak: 5000, Sequences: 10}, map[string]string{"addresses": g.Addrs()[0], "mode": "cluster"})
}

// TestConformanceWithSentinels runs the suite over a master that Sentinels watch. There
// the operations are the same as over any other server.
func TestConformanceWithSentinels(t *testing.T) {
	if testing.Short() {
		t.Skip("makes many thousands of calls of a server")
	}
	g := backend.Sentinel(t, backend.SentinelOptions{Password: secret, SentinelPassword: secret})
	conforms(t, storetest.Options{Soak: 2000, Sequences: 10, Skip: []string{"key", "set/sizes"}}, map[string]string{
		"addresses": strings.Join(g.Addrs(), ","), "mode": "sentinel", "master": g.Name, "password": secret, "sentinel_password": secret,
	})
}
