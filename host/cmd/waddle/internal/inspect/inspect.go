// Package inspect describes a WebAssembly module as a Waddle host sees it, without
// running it: its exports and imports, what it could do if it ran, and every reason
// why it would be refused.
package inspect

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/plugin/preflight"
)

// MaxModule is the largest module in bytes that a host accepts and that [Of] reads.
var MaxModule = plugin.DefaultLimits().Module

// Report describes a module. It is complete only if the module can be read to its
// end; for a damaged one it covers the part before the damage.
type Report struct {
	File   string `json:"file"`
	Size   int64  `json:"size"`             // bytes; -1 if not known
	SHA256 string `json:"sha256,omitempty"` // of the whole; empty above MaxModule

	// Accepted says that nothing was found against the module: nothing in its file
	// and, if there is a Description, nothing in how it opened. Refused is then
	// empty.
	Accepted bool      `json:"accepted"`
	Refused  []Refusal `json:"refused"`

	// Incomplete says that the module could not be read to its end: the lists below
	// may lack entries.
	Incomplete  bool         `json:"incomplete"`
	Sections    []Section    `json:"sections"`
	Memory      *Memory      `json:"memory"` // nil if there is none
	Table       *Table       `json:"table"`
	Exports     []Export     `json:"exports"`
	Absent      []Absent     `json:"absent"` // optional exports that are missing
	Imports     []Import     `json:"imports"`
	Permissions []Permission `json:"permissions"`
	Code        Code         `json:"code"`

	// Reaches are the addresses that the module is granted, if that is known: for the URL of
	// a server.
	Reaches []string `json:"reaches,omitempty"`

	// Trusted says that the module is a bundled engine and runs unmetered. Any other
	// module does so only if its host is told to.
	Trusted bool `json:"trusted"`

	// Rewritings are what a host changes in the module before it compiles it: for a
	// guest that is not trusted, and for one that is. Empty if it would be refused.
	Rewritings []Rewriting `json:"rewritings"`

	Description *Description `json:"description,omitempty"`
}

// Refusal is one reason why a host would not load the module.
type Refusal struct {
	Kind   string `json:"kind"`
	Detail string `json:"detail"` // what was found and what must be there
}

// Section is a part of the module's file.
type Section struct {
	Name   string `json:"name"`
	Offset int    `json:"offset"`
	Size   int    `json:"size"`
}

// Memory is in pages of 64 KiB. Max is -1 if the module sets no bound.
type Memory struct {
	Min int64 `json:"min_pages"`
	Max int64 `json:"max_pages"`
}

// Table is in entries. Max is -1 if the module sets no bound.
type Table struct {
	Min int64 `json:"min"`
	Max int64 `json:"max"`
}

// Export is something that the module offers.
type Export struct {
	Name      string `json:"name"`
	Kind      string `json:"kind"`
	Signature string `json:"signature,omitempty"`
	Role      Role   `json:"role"`
}

// Absent is an optional export that the module lacks.
type Absent struct {
	Name        string `json:"name"`
	Consequence string `json:"consequence"`
}

// Import is something that the module requires from its host.
type Import struct {
	Module    string `json:"module"`
	Name      string `json:"name"`
	Kind      string `json:"kind"`
	Signature string `json:"signature,omitempty"`
}

// Code is what the module is made of.
type Code struct {
	Functions   int   `json:"functions"`
	Bytes       int64 `json:"bytes"`
	DataBytes   int64 `json:"data_bytes"`
	CustomBytes int64 `json:"custom_bytes"`
	LargestBody int   `json:"largest_body"`
	Globals     int   `json:"globals"`
	// Names and Debug say whether a stack after a trap can name functions, and
	// whether the module has debug information. DebugFault is why a host could not
	// use the debug information.
	Names      bool   `json:"names"`
	Debug      bool   `json:"debug"`
	DebugFault string `json:"debug_fault,omitempty"`
	// CompileTime is a rough estimate, in nanoseconds in JSON.
	CompileTime time.Duration `json:"compile_time_estimate"`
}

// Of reports on the module. size is the file's size if wasm is only its beginning,
// because it is larger than [MaxModule]; -1 if that is not known.
func Of(file string, wasm []byte, size int64) *Report {
	r := &Report{File: file, Size: size, Refused: []Refusal{}, Sections: []Section{}, Exports: []Export{},
		Absent: []Absent{}, Imports: []Import{}, Permissions: []Permission{}, Rewritings: []Rewriting{}}
	if int64(len(wasm)) > MaxModule {
		found := fmt.Sprintf("%d bytes: must be at most %d", size, MaxModule)
		if size < 0 {
			found = fmt.Sprintf("more than %d bytes, the largest size", MaxModule)
		}
		r.Refused = append(r.Refused, Refusal{plugin.ErrLimits.Error(), found})
		return r
	}
	r.Size = int64(len(wasm))
	sum := sha256.Sum256(wasm)
	r.SHA256 = hex.EncodeToString(sum[:])
	module, refused := plugin.ValidateAll(wasm)
	for _, e := range refused {
		r.Refused = append(r.Refused, Refusal{e.Kind.Error(), e.Detail})
	}
	if len(refused) == 0 {
		if both, err := rewritings(wasm); err != nil {
			r.Refused = append(r.Refused, Refusal{plugin.ErrModule.Error(), err.Error()})
		} else {
			r.Rewritings = both
		}
	}
	r.Accepted = len(r.Refused) == 0
	r.outline(module, wasm)
	return r
}

// Add adds the result of running the module. The module is refused if it did not
// open.
func (r *Report) Add(d *Description) {
	r.Description = d
	if d.Failure != "" {
		r.Accepted = false
		r.Refused = append(r.Refused, Refusal{"it does not open", d.Failure})
	}
}

// secondOfWork is about the compiler's work in a second on the output of
// toolchains. On a module made to be slow it does less; see [preflight.Module].
const secondOfWork = 40_000_000

func (r *Report) outline(m *preflight.Module, wasm []byte) {
	r.Incomplete = m.Incomplete
	r.Code = Code{Functions: m.Functions, Bytes: m.CodeSize, DataBytes: m.DataSize, CustomBytes: m.CustomSize,
		LargestBody: m.Largest.Size, Globals: m.Globals,
		CompileTime: time.Duration(float64(m.CompileCost) / secondOfWork * float64(time.Second)).Round(time.Millisecond)}
	for _, s := range m.Sections {
		name := preflight.SectionName(s.ID)
		if s.Name != "" {
			name = "custom " + s.Name
			r.Code.Names = r.Code.Names || s.Name == "name" && namesFunctions(wasm[s.Offset:][:s.Size])
			r.Code.Debug = r.Code.Debug || strings.HasPrefix(s.Name, ".debug_")
		}
		r.Sections = append(r.Sections, Section{name, s.Offset, s.Size})
	}
	if r.Code.Debug && !m.Incomplete {
		if err := plugin.CheckDebugInfo(m, wasm); err != nil {
			r.Code.DebugFault = err.Error()
		}
	}
	if m.Memory != nil {
		r.Memory = &Memory{m.Memory.Min, m.Memory.Max}
	}
	if m.Table != nil {
		r.Table = &Table{m.Table.Min, m.Table.Max}
	}
	for _, e := range m.Exports {
		r.Exports = append(r.Exports, Export{e.Name, e.Kind.String(), signatureOf(e.Kind, e.Signature), roleOf(e.Name)})
	}
	sortExports(r.Exports)
	for _, o := range optional {
		if m.ExportsRead() && m.Export(o.Name) == nil {
			r.Absent = append(r.Absent, o)
		}
	}
	for _, i := range m.Imports {
		r.Imports = append(r.Imports, Import{i.Module, i.Name, i.Kind.String(), signatureOf(i.Kind, i.Signature)})
	}
	r.Permissions = permissionsOf(m)
}

// namesFunctions reports whether a name section names a function.
func namesFunctions(section []byte) bool {
	number := func() (n int) {
		v, size := binary.Uvarint(section)
		if size <= 0 || v > uint64(len(section)-size) {
			section = nil
			return 0
		}
		section = section[size:]
		return int(v)
	}
	section = section[number():] // its own name
	for len(section) > 0 {
		id := section[0]
		section = section[1:]
		n := number()
		if id == 1 {
			return n > 1
		}
		section = section[n:]
	}
	return false
}

func signatureOf(kind preflight.Kind, s preflight.Signature) string {
	if kind != preflight.KindFunction {
		return ""
	}
	return s.String()
}
