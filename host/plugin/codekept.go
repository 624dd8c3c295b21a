package plugin

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"slices"

	"github.com/waddle-sessions/waddle/host/internal/rewrite"
	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
	"github.com/waddle-sessions/waddle/host/plugin/preflight"
)

// kept is what a start needs beside the code of a module: what the checks found and
// what the rewriter did, and the rewritten module without the bodies of its functions. So nothing
// is checked, rewritten, decoded or validated again.
//
// The code belongs to the whole module, and wazero finds it under the name of the thin one, where
// [codeWork] has put it. That holds because all that wazero takes from a module to run its code is in
// the other sections: types, imports, globals, tables, memory, exports, elements, data and names, which are
// the same in both. How wazero names its files is not relied on, and what is,
// [codeWork.tryLending] tries.
type kept struct {
	Outline *preflight.Module
	Report  rewrite.Report

	thin []byte
}

// keptName is the name of the file: the length of what is JSON in eight bytes, that, and the module.
const keptName = "module"

// readKept returns nil if there is none, or if it cannot be read.
func readKept(path string) *kept {
	b, err := os.ReadFile(path)
	if err != nil || len(b) < 8 {
		return nil
	}
	n := binary.LittleEndian.Uint64(b)
	if b = b[8:]; n > uint64(len(b)) {
		return nil
	}
	var said struct {
		Outline json.RawMessage
		Report  rewrite.Report
	}
	if json.Unmarshal(b[:n], &said) != nil {
		return nil
	}
	outline, err := preflight.Kept(said.Outline)
	if err != nil {
		return nil
	}
	return &kept{Outline: outline, Report: said.Report, thin: b[n:]}
}

func (k *kept) append(b []byte) ([]byte, error) {
	outline, err := k.Outline.Keep()
	if err != nil {
		return nil, err
	}
	said, err := json.Marshal(struct {
		Outline json.RawMessage
		Report  rewrite.Report
	}{outline, k.Report})
	if err != nil {
		return nil, err
	}
	return append(append(binary.LittleEndian.AppendUint64(b, uint64(len(said))), said...), k.thin...), nil
}

// withoutBodies returns a module with functions that do nothing but fail. Of its custom sections it
// has the names, which are in traces, and the debug sections if they are used.
func withoutBodies(wasm []byte, debug bool) ([]byte, error) {
	m, err := wasmbin.Parse(wasm)
	if err != nil {
		return nil, err
	}
	code := m.Section(wasmbin.SectionCode)
	if code == nil {
		return nil, errors.New("the module has no code")
	}
	r := code.Reader()
	functions := r.Count("functions")
	if r.Err != nil {
		return nil, r.Err
	}
	var fails wasmbin.Code
	fails.Op(wasmbin.OpUnreachable)
	m.Set(wasmbin.SectionCode, wasmbin.AppendItems(nil, slices.Repeat([]wasmbin.Body{fails.Body()}, functions)))
	m.Sections = slices.DeleteFunc(m.Sections, func(s wasmbin.Section) bool {
		return s.ID == wasmbin.SectionCustom && !debug && !bytes.HasPrefix(s.Content, []byte("\x04name"))
	})
	return m.Append(nil), nil
}
