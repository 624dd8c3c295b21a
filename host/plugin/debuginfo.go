package plugin

import (
	"debug/dwarf"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/waddle-sessions/waddle/host/plugin/preflight"
)

// CheckDebugInfo returns why the debug sections of a module are of no use with
// Config.DebugInfo, nil if they are of use. The outline comes from Check.
func CheckDebugInfo(m *preflight.Module, wasm []byte) error { return checkDebugInfo(m, wasm) }

// checkDebugInfo returns why the debug sections of a module are of no use. wazero
// walks all their entries at every failure and does not notice when they form a
// circle, so this makes one such walk first, with an end.
func checkDebugInfo(m *preflight.Module, wasm []byte) error {
	found := make(map[string][]byte)
	for _, s := range m.Sections {
		if !strings.HasPrefix(s.Name, ".debug_") {
			continue
		}
		content := wasm[s.Offset : s.Offset+s.Size]
		if _, n := binary.Uvarint(content); n > 0 && n+len(s.Name) <= len(content) {
			found[s.Name] = content[n+len(s.Name):]
		}
	}
	info := found[".debug_info"]
	if len(info) == 0 {
		return errors.New("there are none: build the guest with debug information (-g) and do not strip it")
	}
	return guarded(func() error {
		d, err := dwarf.New(found[".debug_abbrev"], nil, nil, info, found[".debug_line"], nil,
			found[".debug_ranges"], found[".debug_str"])
		if err != nil {
			return fmt.Errorf("they cannot be read (version 2 to 4 of DWARF can): %w", err)
		}
		r := d.Reader()
		for range len(info) + 1 { // an entry has at least one byte
			entry, err := r.Next()
			if err != nil {
				return fmt.Errorf("they cannot be read (version 2 to 4 of DWARF can): %w", err)
			}
			if entry == nil {
				return nil
			}
		}
		return errors.New("their entries form a circle")
	})
}
