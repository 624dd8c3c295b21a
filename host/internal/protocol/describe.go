package protocol

import (
	"slices"
	"strconv"
	"strings"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/internal/printable"
)

// Description is what a guest says about itself.
type Description struct {
	Name, Version    string // "" if not given
	Capabilities     []string
	MaxKey, MaxValue int // bytes

	CAS     bool // it has its own compare-and-set
	Reshard bool // it finds its records under any number of shards
	Remote  bool // its records are stored elsewhere: any instance serves any key
}

// MaxDescription bounds the lists of session_describe and session_stats.
const MaxDescription = 64 << 10

// Every guest must take keys and values of at least so many bytes.
const (
	LeastKey   = 64
	LeastValue = 4096
)

const (
	maxDescribed = 64 // bytes each of name and version
	// A longer list names capabilities that this version does not know.
	maxCapabilities = 64
)

// parseDescription parses the answer of session_describe. A malformed one is a
// fault.
func parseDescription(list []byte) (*Description, error) {
	d := &Description{MaxKey: abi.MaxKey, MaxValue: abi.MaxValue}
	for {
		name, value, rest, ok := abi.NextPair(list)
		if !ok {
			if len(rest) > 0 {
				return nil, badDescription("ends in %d bytes that are not a pair", len(rest))
			}
			break
		}
		list = rest
		switch name {
		case abi.DescribeName:
			d.Name = short(value)
		case abi.DescribeVersion:
			d.Version = short(value)
		case abi.DescribeCapabilities:
			names := strings.Fields(printable.Clean(value))
			d.Capabilities = append(d.Capabilities, names[:min(len(names), maxCapabilities-len(d.Capabilities))]...)
		case abi.DescribeMaxKey:
			n, err := strconv.ParseUint(value, 10, 63)
			if err != nil || n < LeastKey {
				return nil, badDescription("%s is %q: must be a number of at least %d", name, value, LeastKey)
			}
			d.MaxKey = int(min(n, abi.MaxKey))
		case abi.DescribeMaxValue:
			n, err := strconv.ParseUint(value, 10, 63)
			if err != nil || n < LeastValue {
				return nil, badDescription("%s is %q: must be a number of at least %d", name, value, LeastValue)
			}
			d.MaxValue = int(min(n, abi.MaxValue))
		}
	}
	d.CAS = slices.Contains(d.Capabilities, abi.CapabilityCAS)
	d.Reshard = slices.Contains(d.Capabilities, abi.CapabilityReshard)
	d.Remote = slices.Contains(d.Capabilities, abi.CapabilityRemote)
	if d.Remote && !d.CAS {
		return nil, badDescription("has the capability %s and not %s: others write records that are stored elsewhere, so "+
			"the host cannot compare and set for the guest", abi.CapabilityRemote, abi.CapabilityCAS)
	}
	return d, nil
}

func short(text string) string {
	return printable.Clean(string(printable.Cut([]byte(text), maxDescribed)))
}

func badDescription(format string, args ...any) error {
	return Broken(abi.ExportDescribe+": "+format, args...)
}
