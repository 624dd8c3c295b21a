package tenant

import (
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin"
)

// wakes reports whether a guest that sleeps can be woken with its records.
func wakes(c plugin.Config, m *plugin.Module) bool {
	for _, mount := range c.Mounts {
		if !mount.ReadOnly {
			return true
		}
	}
	return m.Outline().Export(abi.ExportSnapshot) != nil && m.Outline().Export(abi.ExportRestore) != nil
}
