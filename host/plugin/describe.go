package plugin

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/waddle-sessions/waddle/abi"
)

const (
	maxDescription = 64 << 10
	maxDescribed   = 64 // bytes of name and version
	// What is beyond it cannot be known to this version.
	maxCapabilities = 64
	// What every guest must take.
	leastKey   = 64
	leastValue = 4096
)

// describe takes the answer of session_describe. Every instance gives one; that
// of the first decides, and a later one that is not a description is a fault.
func (p *Plugin) describe(list []byte) error {
	d := Info{MaxKey: abi.MaxKey, MaxValue: abi.MaxValue}
	for {
		name, value, rest, ok := abi.NextPair(list)
		if !ok {
			if len(rest) > 0 {
				return badDescription("ends in %d bytes that are not a pair", len(rest))
			}
			break
		}
		list = rest
		switch name {
		case abi.DescribeName:
			d.EngineName = clean(string(cut([]byte(value), maxDescribed)))
		case abi.DescribeVersion:
			d.Version = clean(string(cut([]byte(value), maxDescribed)))
		case abi.DescribeCapabilities:
			names := strings.Fields(clean(value))
			d.Capabilities = append(d.Capabilities, names[:min(len(names), maxCapabilities-len(d.Capabilities))]...)
		case abi.DescribeMaxKey:
			n, err := strconv.ParseUint(value, 10, 63)
			if err != nil || n < leastKey {
				return badDescription("%s is %q, and should be a number of at least %d", name, value, leastKey)
			}
			d.MaxKey = int(min(n, abi.MaxKey))
		case abi.DescribeMaxValue:
			n, err := strconv.ParseUint(value, 10, 63)
			if err != nil || n < leastValue {
				return badDescription("%s is %q, and should be a number of at least %d", name, value, leastValue)
			}
			d.MaxValue = int(min(n, abi.MaxValue))
		}
	}
	p.described.Do(func() {
		p.info.EngineName, p.info.Version, p.info.Capabilities = d.EngineName, d.Version, d.Capabilities
		p.info.MaxKey, p.info.MaxValue = d.MaxKey, d.MaxValue
		p.cas = slices.Contains(d.Capabilities, abi.CapabilityCAS)
		p.reshards = slices.Contains(d.Capabilities, abi.CapabilityReshard)
		if p.config.Name == "" {
			p.config.Name = d.EngineName
		}
	})
	return nil
}

func badDescription(format string, args ...any) error {
	f := &fault{kind: ErrProtocol}
	f.message = abi.ExportDescribe + ": " + fmt.Sprintf(format, args...)
	return f
}
