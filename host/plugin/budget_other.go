//go:build !linux

package plugin

// limitsOfMachine knows only what Go was told: elsewhere a budget is what
// HostConfig says.
func limitsOfMachine(root string) (m machineLimits) {
	m.memory.limit, m.memory.source = available(root)
	return m
}
