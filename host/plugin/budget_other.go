//go:build !linux

package plugin

// limitsOfMachine knows only GOMEMLIMIT. The other budgets are those of HostConfig.
func limitsOfMachine(root string) (m machineLimits) {
	m.memory.limit, m.memory.source = available(root)
	return m
}
