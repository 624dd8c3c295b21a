package plugintest_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/engines/dynfile"
	"github.com/waddle-sessions/waddle/host/engines/keyfolder"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/storetest"
	"github.com/waddle-sessions/waddle/host/storetest/plugintest"
)

// TestBundledEngines holds the engines that come with the host to the suite.
func TestBundledEngines(t *testing.T) {
	for name, module := range map[string]func() ([]byte, error){
		"memory": memory.Module, "keyfolder": keyfolder.Module, "dynfile": dynfile.Module,
	} {
		t.Run(name, func(t *testing.T) {
			wasm, err := module()
			require.NoError(t, err)
			plugintest.RunModule(t, wasm, plugintest.Options{Options: storetest.Options{Target: name}})
		})
	}
}
