package redis

import "github.com/waddle-sessions/waddle/host/plugin"

// Configure returns the config with which Open opens the guest.
func Configure(url string, cfg plugin.Config) (plugin.Config, error) {
	t, err := parse(url)
	if err != nil {
		return cfg, err
	}
	return t.configure(cfg)
}
