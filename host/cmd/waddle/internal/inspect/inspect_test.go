package inspect_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/inspect"
	"github.com/waddle-sessions/waddle/host/engines/keyfolder"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
	"github.com/waddle-sessions/waddle/host/plugin"
)

// guests holds modules with one fault each, with their sources beside them.
const guests = "../../../../plugin/testdata"

func guest(t testing.TB, name string) []byte {
	t.Helper()
	wasm, err := os.ReadFile(filepath.Join(guests, name+".wasm"))
	require.NoError(t, err)
	return wasm
}

func of(wasm []byte) *inspect.Report { return inspect.Of("x.wasm", wasm, int64(len(wasm))) }

func text(t testing.TB, r *inspect.Report) string {
	t.Helper()
	var b strings.Builder
	require.NoError(t, r.WriteText(&b))
	return b.String()
}

func TestOfAccepted(t *testing.T) {
	wasm := guest(t, "store")
	r := of(wasm)
	sum := sha256.Sum256(wasm)
	require.True(t, r.Accepted, "%v", r.Refused)
	require.Empty(t, r.Refused)
	require.False(t, r.Incomplete)
	require.Equal(t, int64(len(wasm)), r.Size)
	require.Equal(t, hex.EncodeToString(sum[:]), r.SHA256)
	require.Equal(t, &inspect.Memory{Min: 18, Max: -1}, r.Memory)
	require.Nil(t, r.Table)
	require.Equal(t, inspect.Export{Name: "memory", Kind: "memory", Role: inspect.RoleRequired}, r.Exports[0])
	require.Equal(t, inspect.Export{Name: "session_abi_v1", Kind: "function", Signature: "() -> ()", Role: inspect.RoleMarker}, r.Exports[1])
	require.Equal(t, inspect.Export{Name: "session_get", Kind: "function", Signature: "(i32, i32, i64) -> i64", Role: inspect.RoleRequired}, r.Exports[4])
	require.Empty(t, r.Imports)
	require.Empty(t, r.Permissions)
	require.Len(t, r.Absent, 6)
	require.Equal(t, "_initialize", r.Absent[0].Name)
	require.Positive(t, r.Code.Bytes)
	require.False(t, r.Code.Names)
	shown := text(t, r)
	for _, says := range []string{"x.wasm", r.SHA256, "session_abi_v1", "18 pages", "session_set", "only compute in its own memory", "Nothing in the file was found against it"} {
		require.Contains(t, shown, says)
	}
}

func TestOfNames(t *testing.T) {
	r := of(guest(t, "named"))
	require.True(t, r.Code.Names)
	require.Contains(t, text(t, r), "names of functions")
}

// custom is a module with one more section of its own.
func custom(wasm []byte, name string, content ...byte) []byte {
	section := append(append([]byte{byte(len(name))}, name...), content...)
	return append(append(bytes.Clone(wasm), 0, byte(len(section))), section...)
}

// The report on debugging aids matches what the host finds.
func TestOfDebugging(t *testing.T) {
	const none = "no names of functions"
	store := guest(t, "store")
	unit := []byte{8, 0, 0, 0, 4, 0, 0, 0, 0, 0, 4, 0}
	usable := custom(custom(store, ".debug_abbrev", 0), ".debug_info", unit...)
	for _, c := range []struct {
		name         string
		wasm         []byte
		says, notYet string
	}{
		{"nothing", store, none, "debug "},
		{"a name of the module", custom(store, "name", 0, 2, 1, 'm'), none, "debug "},
		{"no function's name", custom(store, "name", 1, 1, 0), none, "debug "},
		{"a function's name", custom(store, "name", 1, 4, 1, 0, 1, 'f'), "names of functions", none},
		{"debug information alone", usable, none + " in a stack after a trap; build without stripping to get them; debug information", "unusable"},
		{"debug information and names", custom(usable, "name", 1, 4, 1, 0, 1, 'f'), "names of functions; debug information", none},
		{"lines alone", custom(store, ".debug_line", 1, 2, 3), "unusable debug sections", "debug information\n"},
		{"damaged", custom(store, ".debug_info", 1, 2, 3), "unusable debug sections", "debug information\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			shown := text(t, of(c.wasm))
			require.Contains(t, shown, c.says)
			require.NotContains(t, shown, c.notYet)
		})
	}
}

// A module's imports show what it may do.
func TestPermissions(t *testing.T) {
	names := func(r *inspect.Report) (all []string) {
		for _, c := range r.Permissions {
			require.NotEmpty(t, c.Meaning)
			require.NotEmpty(t, c.By)
			all = append(all, c.Name)
		}
		return all
	}
	wasm, err := memory.Module()
	require.NoError(t, err)
	r := of(wasm)
	require.True(t, r.Accepted)
	require.Equal(t, []string{"fail", "output", "clocks", "random", "wait", "exit", "environment"}, names(r))
	require.Contains(t, text(t, r), "no network, no files, no other program")

	wasm, err = keyfolder.Module()
	require.NoError(t, err)
	r = of(wasm)
	require.Contains(t, names(r), "files")
	require.Contains(t, text(t, r), "only if it is granted, by Mounts of the plugin's Config; it is loaded without")
	require.Contains(t, text(t, r), "no network, no other files, no other program")

	// A descriptor leads to no file if none can be opened.
	r = of(importing("wasi_snapshot_preview1", "fd_close", "fd_seek", "fd_write", "random_get"))
	require.Equal(t, []string{"output", "random"}, names(r))
	r = of(importing("wasi_snapshot_preview1", "fd_close", "fd_seek", "fd_write", "fd_readdir"))
	require.Equal(t, []string{"output", "files"}, names(r))
	require.Equal(t, []string{"fd_close", "fd_seek", "fd_readdir"}, r.Permissions[1].By)

	r = of(importing("waddle_v1", "log", "listen"))
	require.Equal(t, []string{"log", "unknown"}, names(r))
	require.Equal(t, []string{"waddle_v1.listen"}, r.Permissions[1].By)
	require.NotContains(t, text(t, r), "nothing else")

	r = of(guest(t, "netcalls"))
	require.Equal(t, []string{"output", "network", "wait"}, names(r))
	require.Contains(t, r.Permissions[1].By, "dial")
	require.Contains(t, r.Permissions[1].By, "sock_recv")
	require.Contains(t, text(t, r), "connect to the addresses granted to it")
	require.Contains(t, text(t, r), "only if it is granted, by Network of the plugin's Config; it would be refused without")
	require.Contains(t, text(t, r), "no other network, no files")
}

// What a module is refused without is told apart from what it can do without, and
// what it then reaches is not said to be out of its reach.
func TestGrantsAreTold(t *testing.T) {
	r := of(guest(t, "store"))
	r.Permissions = []inspect.Permission{{Name: "network", Meaning: "speak to a server", By: []string{"dial"}, Grant: "Network", Required: true}}
	shown := text(t, r)
	require.Contains(t, shown, "only if it is granted, by Network of the plugin's Config; it would be refused without")
	require.Contains(t, shown, "no other network, no files")
	out, err := json.Marshal(r.Permissions)
	require.NoError(t, err)
	require.JSONEq(t, `[{"name":"network","meaning":"speak to a server","by":["dial"],"grant":"Network","required":true}]`, string(out))
}

// importing makes a module that imports functions without parameters.
func importing(module string, names ...string) []byte {
	m := new(wasmbin.Module)
	wasmbin.SetItems(m, wasmbin.SectionType, []wasmbin.FuncType{{}})
	var imports []wasmbin.Import
	for _, n := range names {
		imports = append(imports, wasmbin.Import{Module: module, Name: n})
	}
	wasmbin.SetItems(m, wasmbin.SectionImport, imports)
	return m.Append(nil)
}

func TestOfRefused(t *testing.T) {
	for _, c := range []struct {
		guest string
		says  []string
	}{
		{"marker_missing", []string{"session_abi_v1"}},
		{"marker_version", []string{"session_abi_v7"}},
		{"export_missing", []string{"session_save", "(i64) -> i64"}},
		{"export_signature", []string{"session_get", "(i32, i32, i32) -> i64"}},
		{"memory_missing", []string{`"memory"`}},
		{"import_function", []string{`"waddle_v1"."listen"`}},
		{"start", []string{"start section"}},
		{"table_huge", []string{"120000000"}},
		{"nested", []string{"nested blocks"}},
	} {
		t.Run(c.guest, func(t *testing.T) {
			r := of(guest(t, c.guest))
			require.False(t, r.Accepted)
			require.NotEmpty(t, r.Refused)
			shown := text(t, r)
			require.Contains(t, shown, "It would be refused")
			for _, says := range c.says {
				require.Contains(t, shown, says)
			}
			require.Contains(t, shown, "session_alloc", "the readable part is shown")
		})
	}
	t.Run("all reasons", func(t *testing.T) {
		r := of(importing("env", "abort"))
		require.Greater(t, len(r.Refused), 3)
		require.Contains(t, text(t, r), fmt.Sprintf("It would be refused, for %d reasons:", len(r.Refused)))
	})
}

// A module cut off anywhere gives a report of the part before the cut, and no
// panic.
func TestOfTruncated(t *testing.T) {
	wasm := guest(t, "store")
	exports, accepted := 0, 0
	for n := range len(wasm) {
		r := of(wasm[:n])
		if r.Accepted {
			accepted++
		}
		require.False(t, r.Incomplete && r.Accepted, "%d bytes", n)
		if shown := text(t, r); r.Incomplete {
			require.NotContains(t, shown, "only compute", "nothing is known about the unread part")
			if len(r.Exports) == 0 {
				require.Empty(t, r.Absent, "missing exports are unknown too")
			}
		}
		exports = max(exports, len(r.Exports))
	}
	require.Equal(t, len(of(wasm).Exports), exports)
	require.Equal(t, 1, accepted, "only a cut at the start of the last section, its data, leaves a possible guest")
}

func TestOfTooLarge(t *testing.T) {
	wasm := append(guest(t, "store"), make([]byte, inspect.MaxModule)...)[:inspect.MaxModule+1]
	r := inspect.Of("big", wasm, 1<<40)
	require.False(t, r.Accepted)
	require.Equal(t, int64(1<<40), r.Size)
	require.Empty(t, r.SHA256)
	require.Contains(t, text(t, r), fmt.Sprintf("%d bytes: must be at most %d", int64(1<<40), inspect.MaxModule))
	r = inspect.Of("big", wasm, -1)
	require.Contains(t, text(t, r), "unknown")
	require.Contains(t, text(t, r), "more than 33554432 bytes")
}

// A module's names must not control the terminal.
func TestTextIsPlain(t *testing.T) {
	r := of(importing("env", "\x1b[2J\u202egone"))
	shown := text(t, r)
	require.NotContains(t, shown, "\x1b")
	require.NotContains(t, shown, "\u202e")
	require.Contains(t, shown, "\uFFFD[2J\uFFFDgone")
}

func describe(t *testing.T, wasm []byte, settings map[string]string) *inspect.Description {
	t.Helper()
	d, err := inspect.Describe(t.Context(), wasm, settings, t.TempDir(), slog.New(slog.NewTextHandler(io.Discard, nil)))
	require.NoError(t, err)
	return d
}

func TestDescribe(t *testing.T) {
	d := describe(t, guest(t, "store"), nil)
	require.Empty(t, d.Failure)
	require.Equal(t, "tiny store", d.Name)
	require.Equal(t, "1.0", d.Version)
	require.Equal(t, []string{"cas"}, d.Capabilities)
	require.Equal(t, 128, d.MaxKey)
	require.Equal(t, 8000, d.MaxValue)
	require.Equal(t, int64(18<<16), d.Memory)
	r := of(guest(t, "store"))
	r.Add(d)
	require.True(t, r.Accepted)
	require.Contains(t, text(t, r), "tiny store")
	require.Contains(t, text(t, r), "It would be loaded.")
	require.Contains(t, text(t, r), "a key always goes to the same instance")
	d.Capabilities = append(d.Capabilities, "remote")
	require.Contains(t, text(t, r), "any free instance serves a key")

	require.Empty(t, describe(t, guest(t, "netcalls"), nil).Failure, "it is granted a network, in which there is nothing")

	wasm, err := keyfolder.Module()
	require.NoError(t, err)
	require.Equal(t, "keyfolder", describe(t, wasm, nil).Name, "it has a directory")
	wasm, err = memory.Module()
	require.NoError(t, err)
	require.Contains(t, describe(t, wasm, map[string]string{"max_entires": "7"}).Failure, "max_entires")
}

func TestDescribeFailure(t *testing.T) {
	for _, c := range []struct{ guest, says string }{
		{"init_loop", "may run for 2s"},
		{"init_exit", "exited with code 2"},
		{"describe_trap", "unreachable"},
		{"describe_small", "max_key"},
		{"describe_limits", "max_value"},
		{"describe_unpaired", "not a pair"},
		{"describe_huge", "1048576 bytes"},
		{"open_refuses", "unknown setting: colour"},
		{"memory_huge", "65536 pages"},
		{"start", "start section"},
	} {
		t.Run(c.guest, func(t *testing.T) {
			d := describe(t, guest(t, c.guest), nil)
			require.Contains(t, d.Failure, c.says)
			r := of(guest(t, c.guest))
			r.Add(d)
			require.Contains(t, text(t, r), c.says)
			require.False(t, r.Accepted)
			require.NotContains(t, text(t, r), "would be loaded")
			_, err := plugin.Open(t.Context(), guest(t, c.guest), plugin.Config{Shards: 1, NoCache: true, MemoryLimit: 64 << 20,
				Deadline: 2 * time.Second, OpenDeadline: 2 * time.Second, Logger: slog.New(slog.DiscardHandler)})
			require.Error(t, err, "as in a host")
		})
	}
}

func TestDescribeEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := inspect.Describe(ctx, guest(t, "init_loop"), nil, "", slog.New(slog.DiscardHandler))
	require.ErrorIs(t, err, context.Canceled)
}

// Any bytes give a report that can be printed.
func FuzzOf(f *testing.F) {
	for _, name := range []string{"store", "start", "import_module", "nested"} {
		if wasm := guest(f, name); len(wasm) < 10_000 {
			f.Add(wasm)
		}
	}
	f.Add(importing("env", "\x1b[2J"))
	f.Fuzz(func(t *testing.T, wasm []byte) {
		r := of(wasm)
		require.Equal(t, r.Accepted, len(r.Refused) == 0)
		for _, c := range text(t, r) {
			require.True(t, c == '\n' || unicode.IsPrint(c) || c == unicode.ReplacementChar, "%q", c)
		}
		_, err := json.Marshal(r)
		require.NoError(t, err)
	})
}

// TestRewritings: the report shows what a host adds and joins, for both kinds of trust.
func TestRewritings(t *testing.T) {
	wasm, err := os.ReadFile("../../../../../examples/guests/go/store.wasm")
	require.NoError(t, err)
	for name, wasm := range map[string][]byte{"store": guest(t, "store"), "in Go": wasm} {
		r := of(wasm)
		require.Len(t, r.Rewritings, 2, name)
		metered, plain := r.Rewritings[0], r.Rewritings[1]
		require.False(t, metered.Trusted)
		require.True(t, plain.Trusted)
		for _, w := range r.Rewritings {
			require.Equal(t, len(wasm), w.SizeBefore)
			want, err := plugin.Rewriting(wasm, w.Trusted)
			require.NoError(t, err)
			require.Equal(t, want.SizeAfter, w.SizeAfter)
			require.LessOrEqual(t, w.SegmentsAfter, w.SegmentsBefore)
		}
		require.Equal(t, r.Code.Functions, metered.Functions)
		require.Positive(t, metered.Charges)
		require.Positive(t, metered.Checks)
		require.Positive(t, metered.Counted+metered.Leaves)
		require.Greater(t, metered.SizeAfter, plain.SizeAfter)
		require.Zero(t, plain.Charges+plain.Checks+plain.Counted+plain.Leaves+plain.Lengths)
		require.Contains(t, text(t, r), "\n  untrusted   metered: ")
		require.Contains(t, text(t, r), "\n  trusted     unmetered")
	}
	goGuest := of(wasm)
	require.Greater(t, goGuest.Rewritings[0].SegmentsBefore, 1000)
	require.Regexp(t, `\d+ data segments joined to \d+, size 2\.\d MiB becomes 2\.\d MiB`, text(t, goGuest))

	require.Regexp(t, `\n  state +memory and 8 globals: plugins of it can share executors\n`, text(t, goGuest))
	require.Equal(t, 8, goGuest.Rewritings[0].MovableGlobals)
	m, err := wasmbin.Parse(guest(t, "store"))
	require.NoError(t, err)
	globals, err := wasmbin.Items(m, wasmbin.SectionGlobal, (*wasmbin.Reader).Global)
	require.NoError(t, err)
	zero := append(append(wasmbin.OpV128Const.Append(nil), make([]byte, 16)...), byte(wasmbin.OpEnd))
	wasmbin.SetItems(m, wasmbin.SectionGlobal, append(globals, wasmbin.Global{
		GlobalType: wasmbin.GlobalType{Type: wasmbin.V128, Mutable: true}, Init: zero}))
	fixed := of(m.Append(nil))
	require.Regexp(t, `\n  state +plugins of it cannot share executors: the global \d+ is a mutable v128: must be a number\n`, text(t, fixed))

	refused := of(guest(t, "start"))
	require.Empty(t, refused.Rewritings)
	require.NotNil(t, refused.Rewritings, "an empty list in JSON")
	require.NotContains(t, text(t, refused), "before it compiles")
}
