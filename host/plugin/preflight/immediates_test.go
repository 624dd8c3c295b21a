package preflight_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
	"github.com/waddle-sessions/waddle/host/plugin/preflight"
)

// What is wrong with one immediate is told rather than what is wrong behind it.
func TestFirstFaultIsTold(t *testing.T) {
	in := func(code string) string {
		return magic + section(1, "\x01\x60\x00\x00") + section(3, "\x01\x00") + section(4, "\x01\x70\x00\x01") + section(5, "\x01\x00\x01") +
			section(10, string(wasmbin.AppendItems(nil, []wasmbin.Body{wasmbin.Body(code)})))
	}
	for name, c := range map[string]struct{ module, says string }{
		"alignment":        {in("\x00\x41\x00\x28\x03\x00\x1a\x0b"), "at byte 38: a load or store aligned to 2^3 bytes: must be at most 2^2"},
		"alignment, cut":   {in("\x00\x41\x00\x28\x03"), "a load or store aligned to 2^3 bytes"},
		"memory, cut":      {in("\x00\x41\x00\x28\x42"), "a load or store with the number of a memory"},
		"copy, cut":        {in("\x00\xfc\x0a\x01"), "the memory of an instruction is number 1"},
		"table copy, cut":  {in("\x00\xfc\x0e\x01"), "the table of an instruction is number 1"},
		"memory.init, cut": {in("\x00\xfc\x08\x00"), "no data count section"},
		"table.init, cut":  {in("\x00\xfc\x0c\x00"), "element segment 0: there is none"},
		"local, cut":       {in("\x01\x01\x63"), "the value type 0x63"},
		"block, cut":       {in("\x00\x02\x64"), "the value type 0x64"},
		"memory size, cut": {magic + section(5, "\x01\x04"), "a 64-bit memory"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := preflight.Parse([]byte(c.module), preflight.Limits{})
			require.ErrorContains(t, err, c.says)
		})
	}
}
