package inspect

import (
	"slices"
	"strings"

	"github.com/waddle-sessions/waddle/abi"
)

// Capability is something that the module could do beyond computing in its own
// memory, by the functions that it imports.
type Capability struct {
	Name    string   `json:"name"`
	Meaning string   `json:"meaning"`
	By      []string `json:"by"` // the imports
}

// Files is the name of the capability to use files.
const Files = "files"

// The capabilities, in the order in which they are told.
var (
	canLog     = Capability{Name: "log", Meaning: "write lines to the host's log"}
	canExplain = Capability{Name: "fail", Meaning: "explain the errors it answers"}
	canPrint   = Capability{Name: "output", Meaning: "write to standard output and error, which go to the host's log"}
	canFiles   = Capability{Name: Files, Meaning: "read, make, change and remove files in a directory that is mounted for it; without a mount there are none"}
	canClocks  = Capability{Name: "clocks", Meaning: "read the real time and a steady clock"}
	canRandom  = Capability{Name: "random", Meaning: "draw random bytes, which are cryptographically secure"}
	canWait    = Capability{Name: "wait", Meaning: "sleep for a millisecond in each call at most"}
	canExit    = Capability{Name: "exit", Meaning: "end its own instance, which counts as a failure"}
	canAsk     = Capability{Name: "environment", Meaning: "look for arguments and environment variables, of which there are none"}
	canSockets = Capability{Name: "sockets", Meaning: "ask for sockets, of which there are none"}
	canUnknown = Capability{Name: "unknown", Meaning: "call what a host of this version does not have"}

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

// opensFiles tells what leads from a mounted directory to what is in it. All
// else that works on descriptors finds the standard streams only without one of
// these.
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
