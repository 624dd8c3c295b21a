package abi

// Version is the version of the interface that this package describes.
const Version = 1

// Exports that every guest has. The comment on each is its WebAssembly signature.
const (
	ExportMemory = "memory"
	ExportMarker = "session_abi_v1" // () -> ()
	ExportAlloc  = "session_alloc"  // (size i32) -> i32
	ExportOpen   = "session_open"   // (cfg_ptr, cfg_len i32) -> i64
	ExportGet    = "session_get"    // (key_ptr, key_len i32, now_ms i64) -> i64
	ExportSet    = "session_set"    // (key_ptr, key_len, val_ptr, val_len i32, expires_ms, now_ms, expect i64) -> i64
	ExportDelete = "session_delete" // (key_ptr, key_len i32, now_ms i64) -> i64
	ExportClear  = "session_clear"  // (now_ms i64) -> i64
	ExportSave   = "session_save"   // (now_ms i64) -> i64
)

// Exports that a guest may have. The host finds each by its presence.
const (
	ExportInitialize = "_initialize"      // () -> ()
	ExportDescribe   = "session_describe" // () -> i64
	ExportTouch      = "session_touch"    // (key_ptr, key_len i32, expires_ms, now_ms i64) -> i64
	ExportSweep      = "session_sweep"    // (now_ms i64, max i32) -> i64
	ExportFlush      = "session_flush"    // (now_ms i64, max i32) -> i64
	ExportKeys       = "session_keys"     // (cursor, now_ms i64) -> i64
	ExportSnapshot   = "session_snapshot" // (cursor, now_ms i64) -> i64
	ExportRestore    = "session_restore"  // (ptr, len i32, now_ms i64) -> i64
	ExportStats      = "session_stats"    // () -> i64
	ExportCopied     = "session_copied"   // () -> i64
	ExportBatch      = "session_batch"    // (ptr, len i32) -> i64
	ExportIdle       = "session_idle"     // (now_ms i64) -> i64
)

// MarkerPrefix begins the marker of every version of the interface.
const MarkerPrefix = "session_abi_v"

// Import modules and the functions of ModuleName.
const (
	ModuleName = "waddle_v1"
	ModuleWASI = "wasi_snapshot_preview1"

	ImportLog  = "log"  // (level, ptr, len i32) -> ()
	ImportFail = "fail" // (ptr, len i32) -> ()
)

// Code is a negative result. It says why an operation was not done.
type Code int64

// The codes. A negative number that is not among them means Internal.
const (
	NotFound    Code = -1  // no record under this key, or it has expired
	Invalid     Code = -2  // the guest cannot accept an argument or a setting
	TooLarge    Code = -3  // the key or value is larger than the guest takes
	NoSpace     Code = -4  // there is no room, and none can be made
	Unavailable Code = -5  // not possible now; the same call may succeed later
	Conflict    Code = -6  // the stored revision is not the expected one
	Corrupt     Code = -7  // a record is stored but cannot be read
	Denied      Code = -8  // the guest's backend refuses access
	Unsupported Code = -9  // the guest does not have this operation
	Internal    Code = -10 // a fault within the guest
)

// String returns the code's name as SPEC.md writes it.
func (c Code) String() string {
	switch c {
	case NotFound:
		return "NOT_FOUND"
	case Invalid:
		return "INVALID"
	case TooLarge:
		return "TOO_LARGE"
	case NoSpace:
		return "NO_SPACE"
	case Unavailable:
		return "UNAVAILABLE"
	case Conflict:
		return "CONFLICT"
	case Corrupt:
		return "CORRUPT"
	case Denied:
		return "DENIED"
	case Unsupported:
		return "UNSUPPORTED"
	}
	return "INTERNAL"
}

// Values of the expect argument of session_set that are not a revision.
const (
	ExpectAny    int64 = 0  // put, whatever is there
	ExpectAbsent int64 = -1 // create only
)

// RevisionSize is how many bytes at the start of a value are its revision.
const RevisionSize = 8

// Limits that the host keeps and that a guest may rely on.
const (
	MaxKey     = 1024     // bytes; a key has at least one
	MaxValue   = 16 << 20 // bytes, revision included; a value may be empty
	MaxMemory  = 1 << 31  // bytes; a pointer in a result must stay below it
	MaxMessage = 1024     // bytes of a fail message that the host keeps
	MaxLog     = 4096     // bytes of a log line that the host keeps
)

// Levels of a log line.
const (
	LevelDebug int32 = -4
	LevelInfo  int32 = 0
	LevelWarn  int32 = 4
	LevelError int32 = 8
)

// Names of settings that the host adds to the user's. Any later one begins with
// ConfigHostPrefix.
const (
	ConfigShard       = "shard"
	ConfigShards      = "shards"
	ConfigMemoryLimit = "memory_limit"
	ConfigHostPrefix  = "host_"
)

// Names in the answer of session_describe.
const (
	DescribeName         = "name"
	DescribeVersion      = "version"
	DescribeCapabilities = "capabilities"
	DescribeMaxKey       = "max_key"
	DescribeMaxValue     = "max_value"
)

// Names in the answer of session_stats.
const (
	StatsRecords = "records"
	StatsBytes   = "bytes"
	StatsEvicted = "evicted"
	StatsExpired = "expired"
	StatsLimit   = "limit"
)

// Capabilities that a guest may describe.
const (
	// CapabilityCAS says that the guest itself honours the expect argument.
	CapabilityCAS = "cas"

	// CapabilityReshard says that the guest keeps files and finds its records in them,
	// whatever number of shards it is opened with.
	CapabilityReshard = "reshard"

	// CapabilityRemote says that the guest keeps no record in an instance, but all
	// of them elsewhere: any instance serves any key. It goes with CapabilityCAS.
	CapabilityRemote = "remote"
)

// MountPath is where a guest that keeps files finds its directory.
const MountPath = "/data"

// MaxShards is the largest number of shards.
const MaxShards = 1024
