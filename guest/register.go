package guest

import (
	"strconv"

	"github.com/waddle-sessions/waddle/abi"
)

// Info describes an engine. The host reads it before it opens an instance.
type Info struct {
	// Name and Version are for people, up to 64 bytes each.
	Name, Version string

	// CAS says that Set compares and stores as one step. An engine whose data
	// several processes share needs it. For any other engine it saves the host a
	// read.
	CAS bool

	// Reshard says that the engine keeps files and finds every record in them,
	// whatever number of shards it is opened with. Without it, the host opens a
	// directory only with the number of shards that it was written with, so the
	// engine need not check the number. The Open of shard 0 divides the files
	// anew, and returns before any other shard is opened. If that is cut short,
	// the next Open must be able to begin again.
	Reshard bool

	// Remote says that the engine keeps no record in the instance, but all of them
	// elsewhere, as on a server: what one instance was told, every other one has at
	// once. The host then lets any instance serve any key, with as many calls at a
	// time as there are instances. Where it otherwise asks each instance, it asks one
	// of them for all records: in Clear, Save, Sweep, Keys, Snapshot. It needs CAS,
	// since no lock of the host stands between two writers of a record.
	Remote bool

	// MaxKey and MaxValue are the largest key and value in bytes, the value's
	// revision included. 0 means the most that the interface allows, abi.MaxKey
	// and abi.MaxValue. An engine must take at least keys of 64 bytes and values
	// of 4 KiB.
	MaxKey, MaxValue int
}

// The least that an engine must take, by the specification.
const (
	minMaxKey   = 64
	minMaxValue = 4 << 10
	maxInfoText = 64
)

// Register makes engine this module's engine. It is called once, from an init
// function. It panics if it is called again or if info is outside the bounds that
// its fields name.
func Register(engine Engine, info Info) {
	if current.engine != nil {
		panic("guest: Register was called twice: a module has one engine")
	}
	if engine == nil {
		panic("guest: Register was called with a nil engine")
	}
	current.init(engine, info)
}

// Scratch returns n bytes to build a result in, valid until the next call. They
// usually lie in the exchange buffer and cost nothing. The key and value of the
// current call lie there too and are overwritten: take Scratch when they are no
// longer needed. There is always room there for a key and value that came in
// through Set or Restore.
func Scratch(n int) []byte { return serving().scratch(n) }

// checked returns info with its zero values filled in.
func (info Info) checked() Info {
	if info.MaxKey == 0 {
		info.MaxKey = abi.MaxKey
	}
	if info.MaxValue == 0 {
		info.MaxValue = abi.MaxValue
	}
	switch {
	case !plainText(info.Name) || info.Name == "":
		panic("guest: Info.Name must have 1 to 64 bytes and no NUL")
	case !plainText(info.Version):
		panic("guest: Info.Version must have at most 64 bytes and no NUL")
	case info.Remote && !info.CAS:
		panic("guest: Info.Remote is set without Info.CAS: where records lie elsewhere the host cannot compare")
	case info.MaxKey < minMaxKey || info.MaxKey > abi.MaxKey:
		panic("guest: Info.MaxKey is " + strconv.Itoa(info.MaxKey) + ": must be 64 to 1024")
	case info.MaxValue < minMaxValue || info.MaxValue > abi.MaxValue:
		panic("guest: Info.MaxValue is " + strconv.Itoa(info.MaxValue) + ": must be 4096 to 16777216")
	}
	return info
}

func (info Info) description() []byte {
	list := abi.AppendPair(nil, abi.DescribeName, info.Name)
	if info.Version != "" {
		list = abi.AppendPair(list, abi.DescribeVersion, info.Version)
	}
	if capabilities := info.capabilities(); capabilities != "" {
		list = abi.AppendPair(list, abi.DescribeCapabilities, capabilities)
	}
	list = abi.AppendPair(list, abi.DescribeMaxKey, strconv.Itoa(info.MaxKey))
	return abi.AppendPair(list, abi.DescribeMaxValue, strconv.Itoa(info.MaxValue))
}

func (info Info) capabilities() string {
	list := ""
	for _, c := range [...]struct {
		has  bool
		name string
	}{{info.CAS, abi.CapabilityCAS}, {info.Reshard, abi.CapabilityReshard}, {info.Remote, abi.CapabilityRemote}} {
		switch {
		case !c.has:
		case list == "":
			list = c.name
		default:
			list += " " + c.name
		}
	}
	return list
}

func plainText(s string) bool {
	for i := range len(s) {
		if s[i] == 0 {
			return false
		}
	}
	return len(s) <= maxInfoText
}
