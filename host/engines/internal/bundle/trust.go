package bundle

import "github.com/waddle-sessions/waddle/host/plugin"

// Trust makes a bundled engine trusted, unless the config bounds what the engine may
// compute: somebody who sets a bound wants it to hold.
func Trust(cfg plugin.Config) plugin.Config {
	cfg.Trusted = cfg.Trusted || !bounded(cfg)
	return cfg
}

// bounded reports whether the config has one of the bounds that [plugin.Config.Trusted]
// excludes.
func bounded(c plugin.Config) bool {
	return c.Deadline != 0 || c.OpenDeadline != 0 || c.Fuel != 0 || c.OpenFuel != 0 || c.FuelRate != 0 || c.FuelBurst != 0
}
