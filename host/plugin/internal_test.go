package plugin

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin/internal/fair"
	"github.com/waddle-sessions/waddle/host/plugin/preflight"
)

func TestTail(t *testing.T) {
	var all strings.Builder
	var got tail
	for i := range 2000 {
		s := fmt.Sprintf("%d,", i)
		all.WriteString(s)
		got.write([]byte(s))
		want := all.String()
		require.Equal(t, want[max(0, len(want)-maxTail):], string(got.b))
	}
	got.write([]byte(strings.Repeat("x", 3*maxTail)))
	require.Equal(t, strings.Repeat("x", maxTail), string(got.b))
}

func TestLogLevel(t *testing.T) {
	for level, want := range map[int32]slog.Level{
		-4: slog.LevelDebug, 0: slog.LevelInfo, 4: slog.LevelWarn, 8: slog.LevelError,
		-1 << 31: slog.LevelDebug, -1: slog.LevelDebug, 3: slog.LevelInfo, 7: slog.LevelWarn, 1<<31 - 1: slog.LevelError,
	} {
		require.Equal(t, want, logLevel(level), "%d", level)
	}
}

func TestSleepIsBoundedForACall(t *testing.T) {
	inst := instance{turn: fair.New(1, false).Flow().Call()}
	for range 100 {
		inst.sleep(1 << 50)
		inst.sleep(-1)
	}
	require.Equal(t, maxSleep, inst.slept)
}

func TestLinearMemory(t *testing.T) {
	var m linearMemory
	m.reserve(4 * pageSize)
	require.NoError(t, m.err)
	require.Nil(t, m.Reallocate(5*pageSize), "beyond the limit")
	b := m.Reallocate(pageSize)
	require.Len(t, b, pageSize)
	b[0], b[pageSize-1] = 1, 2
	b = m.Reallocate(4 * pageSize)
	require.Len(t, b, 4*pageSize)
	require.Equal(t, []byte{1, 2}, []byte{b[0], b[pageSize-1]}, "what was there is still there")
	require.Zero(t, b[4*pageSize-1])
	m.Free()
	require.Equal(t, byte(1), b[0], "wazero frees it while it may still be looked at")
	require.NoError(t, m.release())
	require.NoError(t, m.release())
	require.Nil(t, m.Reallocate(1), "nothing of it can be had any more")

	var none linearMemory
	none.reserve(0)
	require.Empty(t, none.Reallocate(0))
	require.NoError(t, none.release())
}

// A guest's runtime has the functions that its module imports, and no others.
func TestOnlyWhatIsImportedIsExported(t *testing.T) {
	ctx := t.Context()
	r := wazero.NewRuntimeWithConfig(ctx, runtimeConfig(runtimeInterpreter))
	defer r.Close(ctx)
	var imports []preflight.Import
	for _, name := range []string{"random_get", "fd_write", "random_get"} {
		_, f := builtinPermissions().find(abi.ModuleWASI, name)
		imports = append(imports, f.imported())
	}
	require.NoError(t, builtinPermissions().export(r, imports))
	require.Nil(t, r.Module(abi.ModuleName))
	functions := r.Module(abi.ModuleWASI).ExportedFunctionDefinitions()
	require.ElementsMatch(t, []string{"fd_write", "random_get"}, slices.Collect(maps.Keys(functions)))
}
