package plugin

import (
	"cmp"
	"errors"

	"github.com/waddle-sessions/waddle/host/internal/protocol"
	"github.com/waddle-sessions/waddle/host/plugin/internal/image"
)

// resolveShared decides whether a plugin that may share executors can, as far as it depends on
// the config and the system. The module has its say later.
func (s *resolved) resolveShared() {
	switch {
	case !s.Shared:
	case len(s.Mounts) > 0:
		s.notShared = "it has mounts, and open files belong to an instance"
	case s.Network.granted():
		s.notShared = "it has a network, and connections belong to an instance"
	default:
		s.notShared = reason(errors.Join(image.Available(), switches(s.Host.runtime())))
	}
}

func reason(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// shares reports whether the module is to be compiled for shared executors.
func (s *resolved) shares() bool { return s.Shared && s.notShared == "" }

// share gives the plugin a place on its module's executors, or says why not.
func (p *Plugin) share() {
	if !p.config.Shared {
		return
	}
	p.machine.doze = p.doze
	p.machine.idle = func(shard int, f func()) { p.store.TryIdle(shard, func(protocol.Instance) { f() }) }
	if why := cmp.Or(p.config.notShared, p.code.compiled.fixed); why != "" {
		p.standsAlone(why)
		return
	}
	p.machine.pool = p.code.shared.Load()
}

// standsAlone notes why the plugin's guests run on executors of their own.
func (p *Plugin) standsAlone(why string) {
	if p.notShared.CompareAndSwap(nil, &why) {
		p.config.Logger.Info("the guest does not share executors with others", "plugin", p.Name(), "because", why)
	}
}

// newGuest makes a guest of a shard.
func (p *Plugin) newGuest(shard int) (protocol.Instance, error) {
	if p.machine.pool != nil && p.notShared.Load() == nil {
		s, err := newSeat(&p.machine, shard)
		if err == nil {
			return s, nil
		}
		if err != errSmall && err != errEmpty {
			return nil, err
		}
		p.standsAlone(err.Error())
	}
	inst, err := newInstance(&p.machine, shard)
	if err != nil {
		return nil, err
	}
	return inst, nil
}

// doze puts a shard to sleep for which nobody asked.
func (p *Plugin) doze(shard int) {
	slept, err := p.store.TrySleep(shard)
	if err != nil {
		p.store.Complain("an idle guest could not be put to sleep", err, "shard", shard)
	}
	if slept {
		p.chores.rest()
	}
}

// shared reports whether the plugin's guests take turns on executors.
func (p *Plugin) shared() bool { return p.config.Shared && p.notShared.Load() == nil }

func (p *Plugin) whyNotShared() string {
	if why := p.notShared.Load(); why != nil {
		return *why
	}
	return ""
}

func (h *Host) shared() SharedStats {
	s := h.seats.stats()
	h.codes.mu.Lock()
	defer h.codes.mu.Unlock()
	for _, c := range h.codes.all {
		if pool := c.shared.Load(); pool != nil {
			s.Executors += int(pool.count.Load())
		}
	}
	return s
}
