package inspect

import (
	"slices"
	"strings"

	"github.com/waddle-sessions/waddle/abi"
)

// Capability is something that the module's imports let it do beyond computing in
// its own memory.
type Capability struct {
	Name    string   `json:"name"`
	Meaning string   `json:"meaning"`
	By      []string `json:"by"` // the imports
}

// Files is the name of the capability to use files.
const Files = "files"

// The capabilities, in the order of the report.
var (
	canLog     = Capability{Name: "log", Meaning: "write lines to the host's log"}
	canExplain = Capability{Name: "fail", Meaning: "explain the errors it answers"}
	canPrint   = Capability{Name: "output", Meaning: "write to standard output and error, which go to the host's log"}
	canFiles   = Capability{Name: Files, Meaning: "read, make, change and remove files in a directory mounted for it; without a mount it has none"}
	canClocks  = Capability{Name: "clocks", Meaning: "read the real time and a steady clock"}
	canRandom  = Capability{Name: "random", Meaning: "draw random bytes, which are cryptographically secure"}
	canWait    = Capability{Name: "wait", Meaning: "sleep for at most a millisecond in each call"}
	canExit    = Capability{Name: "exit", Meaning: "end its own instance, which counts as a failure"}
	canAsk     = Capability{Name: "environment", Meaning: "read arguments and environment variables; there are none"}
	canSockets = Capability{Name: "sockets", Meaning: "ask for sockets; there are none"}
	canUnknown = Capability{Name: "unknown", Meaning: "call functions that a host of this version lacks"}

	capabilities = []*Capability{&canLog, &canExplain, &canPrint, &canFiles, &canClocks, &canRandom, &canWait,
		&canExit, &canAsk, &canSockets, &canUnknown}
)

func capabilitiesOf(imports []Import) []Capability {
	files := slices.ContainsFunc(imports, opensFiles)
	by := make(map[*Capability][]string)
	for _, i := range imports {
		c := capabilityOf(i, files)
		name := i.Name
		if c == &canUnknown {
			name = i.Module + "." + name
		}
		by[c] = append(by[c], name)
	}
	out := []Capability{}
	for _, c := range capabilities {
		if len(by[c]) > 0 {
			out = append(out, Capability{c.Name, c.Meaning, by[c]})
		}
	}
	return out
}

// opensFiles reports whether an import leads from a mounted directory to its
// contents. Without such an import, all other functions on descriptors find only
// the standard streams.
func opensFiles(i Import) bool {
	return i.Module == abi.ModuleWASI && (strings.HasPrefix(i.Name, "path_") || i.Name == "fd_readdir")
}

func capabilityOf(i Import, files bool) *Capability {
	switch {
	case i.Module == abi.ModuleName && i.Name == abi.ImportLog:
		return &canLog
	case i.Module == abi.ModuleName && i.Name == abi.ImportFail:
		return &canExplain
	case i.Module != abi.ModuleWASI:
		return &canUnknown
	case i.Name == "random_get":
		return &canRandom
	case i.Name == "poll_oneoff" || i.Name == "sched_yield":
		return &canWait
	case i.Name == "fd_write":
		return &canPrint
	}
	prefix, _, _ := strings.Cut(i.Name, "_")
	switch {
	case prefix == "path" || prefix == "fd" && files:
		return &canFiles
	case prefix == "fd":
		return &canPrint
	case prefix == "clock":
		return &canClocks
	case prefix == "proc":
		return &canExit
	case prefix == "args" || prefix == "environ":
		return &canAsk
	case prefix == "sock":
		return &canSockets
	}
	return &canUnknown
}
