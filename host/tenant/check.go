package tenant

import (
	"context"
	"errors"

	"github.com/waddle-sessions/waddle/host/plugin"
)

// Check says what keeps a host with this config from running a manifest: everything that
// [Host.Deploy] would find before it compiles the plugin. It returns [ErrManifest], or
// the [plugin.LoadError] of a module that is refused, and nil if nothing was found. It
// changes nothing, and starts nothing.
func (c HostConfig) Check(ctx context.Context, m Manifest) error {
	p, err := c.grounds().resolve(ctx, m)
	if err != nil {
		return err
	}
	_, why := plugin.ValidateAll(p.wasm)
	var refused []error
	for _, err := range why {
		err.Plugin = m.Name
		refused = append(refused, err)
	}
	return errors.Join(refused...)
}

// grounds are what manifests are resolved on.
func (c HostConfig) grounds() grounds {
	return grounds{dir: c.Dir, trustedKeys: c.TrustedKeys, keyring: c.Keyring, limits: c.Limits, mountRoots: c.MountRoots, network: c.Network}
}
