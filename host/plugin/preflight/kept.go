package preflight

import (
	"encoding/json"
	"errors"
)

// Keep returns the outline of a module that was accepted, in a form to be kept in a file and
// given to [Kept].
func (m *Module) Keep() ([]byte, error) {
	if m.Incomplete {
		return nil, errors.New("the outline of a module that was refused is not kept")
	}
	return json.Marshal(m)
}

// Kept reads an outline that [Module.Keep] wrote.
func Kept(b []byte) (*Module, error) {
	m := &Module{exportsRead: true}
	if err := json.Unmarshal(b, m); err != nil {
		return nil, err
	}
	return m, nil
}

// Within reports whether the module is within those limits that a config sets: Module,
// CompileCost and CompileMemory. The others are the same for every module.
func (m *Module) Within(l Limits) bool {
	return m.Size <= l.Module && m.CompileCost <= l.CompileCost && m.CompileMemory <= l.CompileMemory
}
