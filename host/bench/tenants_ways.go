package main

import "github.com/waddle-sessions/waddle/host/plugin"

// tenantWay is how a tenant's guest runs.
type tenantWay string

const (
	wayOwn    tenantWay = "an instance each"
	wayShared tenantWay = "shared executors"
)

// tenantWays are measured, the one that takes less first.
var tenantWays = []tenantWay{wayShared, wayOwn}

// host is for tenants of which so many may be awake.
func (w tenantWay) host(awake int) plugin.HostConfig {
	return plugin.HostConfig{AddressSpace: -1, Mappings: -1, Memory: -1, Awake: awake}
}

func (w tenantWay) plugin(config *plugin.Config) { config.Shared = w == wayShared }

// notShared is why plugins that should share executors do not.
type notShared string

func (n notShared) Error() string { return "not on shared executors: " + string(n) }
