package tenant

import (
	"fmt"
	"slices"
)

// claim reserves a tenant's name and host names, so that no other deploy takes them. What
// it had before stays its own.
func (h *Host) claim(name string, hosts []string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	had, there := h.names[name]
	if !there && h.most >= 0 && len(h.names) >= h.most {
		return fmt.Errorf("%w: there are %d, and %d are allowed: remove some, or raise HostConfig.MaxTenants or, if that is 0, "+
			"the system's vm.max_map_count", ErrTooMany, len(h.names), h.most)
	}
	for _, host := range hosts {
		if owner, taken := h.claims[host]; taken && owner != name {
			return fmt.Errorf("%w: %q is %q's: choose another, or remove that tenant first", ErrHostName, host, owner)
		}
	}
	for _, host := range hosts {
		h.claims[host] = name
		if !slices.Contains(had, host) {
			had = append(had, host)
		}
	}
	h.names[name] = had
	return nil
}

// unclaim gives back all host names of a tenant but those that it keeps, and its name if
// there is no such tenant.
func (h *Host) unclaim(name string, keeps []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, host := range h.names[name] {
		if !slices.Contains(keeps, host) {
			delete(h.claims, host)
			h.byHost.Delete(host)
		}
	}
	if _, there := h.byName.Load(name); there {
		h.names[name] = slices.Clone(keeps)
	} else {
		delete(h.names, name)
	}
}

// publish lets requests find a tenant.
func (h *Host) publish(t *Tenant, hosts []string) {
	h.byName.Store(t.name, t)
	for _, host := range hosts {
		h.byHost.Store(host, t)
	}
}

// unpublish keeps requests from finding a tenant, and gives back its names.
func (h *Host) unpublish(t *Tenant) {
	h.byName.Delete(t.name)
	h.unclaim(t.name, nil)
}
