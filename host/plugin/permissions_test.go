package plugin_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/plugin/preflight"
)

const extraFunction = "test_grant"

// extraGuest imports a function that only the row of an ExtraGrant has, and calls it
// when it saves.
func extraGuest(t testing.TB) []byte {
	m := specGuest(t)
	i := m.imported(specFunction{module: abi.ModuleName, name: extraFunction})
	m.export(abi.ExportSave).body = []byte{opCall, byte(i), opI64Const, 0}
	return m.bytes()
}

// One row makes a permission that is granted, refused, attached and given back.
func TestGrant(t *testing.T) {
	wasm := extraGuest(t)
	var g plugin.ExtraGrant
	config := specConfigOf(nil)
	config.Shards, config.MemoryLimit, config.Durability = 2, 128<<20, plugin.DurabilityClose
	g.Add(&config, extraFunction, true)
	p := open(t, wasm, config)
	require.EqualValues(t, 1, g.Opened.Load())
	require.EqualValues(t, 2, g.Attached.Load(), "once for each instance")
	require.Zero(t, g.Called.Load())
	require.NoError(t, p.Save(ctx, 1))
	require.EqualValues(t, 2, g.Called.Load())
	require.Zero(t, g.Closed.Load())

	// Another plugin that runs the same code at the same time has grants of its own.
	var other plugin.ExtraGrant
	refusing := specConfigOf(nil)
	other.Add(&refusing, extraFunction, false)
	_, err := plugin.Open(ctx, wasm, refusing)
	require.ErrorIs(t, err, plugin.ErrGrant)
	require.ErrorContains(t, err, `"waddle_v1"."test_grant"`, "which import")
	require.ErrorContains(t, err, `"extra" (to count calls)`, "which permission")
	require.ErrorContains(t, err, "Config.Extra", "how to give it")
	require.Zero(t, other.Opened.Load()+other.Attached.Load())

	require.NoError(t, p.Close(ctx))
	require.EqualValues(t, 1, g.Closed.Load())
	require.EqualValues(t, 4, g.Called.Load(), "Close saves")
}

// Plugins of one module share its code, and each has its own grants.
func TestGrantsOfOneModule(t *testing.T) {
	h := hosted(t, plugin.HostConfig{})
	var first, refusing, second plugin.ExtraGrant
	config := specConfigOf(nil)
	first.Add(&config, extraFunction, true)
	m, err := h.Compile(ctx, extraGuest(t), config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	save := func(p *plugin.Plugin) error {
		_, err := p.Get(ctx, key, 1) // which brings an instance up
		require.NoError(t, err)
		return p.Save(ctx, 1)
	}
	p := openModule(t, m, config)
	require.NoError(t, save(p))
	require.EqualValues(t, 1, first.Called.Load())

	without := specConfigOf(nil)
	refusing.Add(&without, extraFunction, false)
	_, err = m.Open(ctx, without)
	require.ErrorIs(t, err, plugin.ErrGrant)
	require.ErrorContains(t, err, "Config.Extra")
	require.Zero(t, refusing.Opened.Load()+refusing.Attached.Load())

	// The code calls the function of the plugin that runs it.
	config = specConfigOf(nil)
	second.Add(&config, extraFunction, true)
	q := openModule(t, m, config)
	require.NoError(t, save(q))
	require.EqualValues(t, 1, second.Called.Load())
	require.EqualValues(t, 1, first.Called.Load())

	// One that got in without the grant is stopped at the call.
	r := openModule(t, m, specConfigOf(nil))
	require.ErrorIs(t, save(r), plugin.ErrGrant)
	require.NoError(t, save(p))
	require.EqualValues(t, 2, first.Called.Load())
	require.EqualValues(t, 1, second.Called.Load())
	require.EqualValues(t, 1, h.Stats().Compiled, "all of them ran the same code")
}

// A guest that does not import what needs a grant is not asked for one, and what is
// not granted is not made ready.
func TestGrantThatNobodyUses(t *testing.T) {
	var g plugin.ExtraGrant
	config := specConfigOf(nil)
	g.Add(&config, extraFunction, false)
	p := open(t, specGuest(t).bytes(), config)
	require.NoError(t, p.Save(ctx, 1))
	require.Zero(t, g.Opened.Load()+g.Attached.Load()+g.Called.Load())
}

func TestGrantThatCannotBeHad(t *testing.T) {
	g := plugin.ExtraGrant{Fault: errors.New("out of order")}
	config := specConfigOf(nil)
	g.Add(&config, extraFunction, true)
	_, err := plugin.Open(ctx, extraGuest(t), config)
	require.ErrorIs(t, err, g.Fault)
	require.EqualValues(t, 1, g.Closed.Load(), "what it had made ready is given back")
	require.Zero(t, g.Attached.Load(), "no instance was made")
}

// A grant is for the function as it is: another signature is refused with it, and a
// host whose table has no such row knows no such function.
func TestGrantDoesNotChangeWhatFits(t *testing.T) {
	var g plugin.ExtraGrant
	config := specConfigOf(nil)
	g.Add(&config, extraFunction, true)
	m := specGuest(t)
	m.imports = []specFunction{{module: abi.ModuleName, name: extraFunction, params: []byte{typeI32}}}
	_, err := plugin.Open(ctx, m.bytes(), config)
	require.ErrorIs(t, err, plugin.ErrImport)
	require.ErrorContains(t, err, "is imported as a function (i32) -> (): must be a function () -> ()")

	_, err = plugin.Open(ctx, extraGuest(t), specConfigOf(nil))
	require.ErrorIs(t, err, plugin.ErrImport)
	require.NotErrorIs(t, err, plugin.ErrGrant)
}

// The functions for files are there without a mount, since runtime libraries import
// them; then they find no directory.
func TestFilesWithoutAMount(t *testing.T) {
	const pathOpen, badDescriptor = "path_open", 8
	var open1 specFunction
	for _, p := range plugin.Permissions() {
		for _, i := range p.Imports {
			if i.Name == pathOpen {
				require.NotEmpty(t, p.Without)
				open1 = specFunction{module: i.Module, name: i.Name, params: bytesOf(i.Signature.Params), results: bytesOf(i.Signature.Results)}
			}
		}
	}
	m := specGuest(t)
	index := m.imported(open1)
	var body []byte
	for n, p := range open1.params {
		switch {
		case p == typeI64:
			body = append(body, opI64Const, 0)
		case n == 0:
			body = append(body, opI32Const, 3) // where the first mount would be
		default:
			body = append(body, opI32Const, 1)
		}
	}
	m.export(abi.ExportSweep).body = append(body, opCall, byte(index), opI64ExtendI32)
	module, err := hosted(t, plugin.HostConfig{}).Compile(ctx, m.bytes(), specConfigOf(nil))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, module.Close()) })
	sweep := func(config plugin.Config) int {
		n, err := openModule(t, module, config).Sweep(ctx, 100, 1)
		require.NoError(t, err)
		return n
	}
	require.Equal(t, badDescriptor, sweep(specConfigOf(nil)))
	config := specConfigOf(nil)
	config.Mounts = []plugin.Mount{{Dir: t.TempDir()}}
	require.NotEqual(t, badDescriptor, sweep(config))
	require.Equal(t, badDescriptor, sweep(specConfigOf(nil)), "another plugin of the module is granted nothing by it")
}

func bytesOf(types []preflight.ValueType) (b []byte) {
	for _, v := range types {
		b = append(b, byte(v))
	}
	return b
}

func TestPermissions(t *testing.T) {
	seen := make(map[string]string)
	count := make(map[string]int)
	var grants []string
	for _, p := range plugin.Permissions() {
		require.NotEmpty(t, p.Name)
		require.NotEmpty(t, p.Meaning, p.Name)
		require.NotEmpty(t, p.Imports, p.Name)
		for _, i := range p.Imports {
			function := i.Module + "." + i.Name
			require.Empty(t, seen[function], "%s stands in one row", function)
			seen[function] = p.Name
			count[i.Module]++
			require.Equal(t, preflight.KindFunction, i.Kind)
		}
		if p.Grant == "" {
			require.Empty(t, p.Without, p.Name)
			require.True(t, p.GrantedBy(plugin.Config{}))
			continue
		}
		grants = append(grants, p.Grant)
		require.False(t, p.GrantedBy(plugin.Config{}), "%s is not granted by saying nothing", p.Name)
	}
	require.Equal(t, map[string]int{abi.ModuleName: 9, abi.ModuleWASI: 46}, count)
	require.Equal(t, []string{"Mounts", "Network"}, grants)
	for _, p := range plugin.Permissions() {
		if p.Grant == "Mounts" {
			require.True(t, p.GrantedBy(plugin.Config{Mounts: []plugin.Mount{{Dir: "d"}}}))
		}
		if p.Grant == "Network" {
			require.True(t, p.GrantedBy(plugin.Config{Network: plugin.Network{Allow: []string{"tcp://a:1"}}}))
			require.False(t, p.GrantedBy(plugin.Config{Network: plugin.Network{MaxConns: 1}}))
		}
	}
}

func TestUses(t *testing.T) {
	importing := func(imports ...string) *preflight.Module {
		m := new(preflight.Module)
		for _, i := range imports {
			module, name, _ := strings.Cut(i, ".")
			m.Imports = append(m.Imports, preflight.Import{Module: module, Name: name})
		}
		return m
	}
	wasi := func(names ...string) (all []string) {
		for _, n := range names {
			all = append(all, abi.ModuleWASI+"."+n)
		}
		return all
	}
	for _, c := range []struct {
		imports []string
		want    string
	}{
		{nil, ""},
		{wasi("fd_close", "fd_seek", "fd_write", "random_get"), "output: fd_close fd_seek fd_write; random: random_get"},
		{wasi("fd_close", "fd_seek", "fd_write", "fd_readdir"), "output: fd_write; files: fd_close fd_seek fd_readdir"},
		{wasi("path_open", "fd_prestat_get"), "files: path_open fd_prestat_get"},
		{wasi("args_get", "clock_time_get", "environ_sizes_get", "sock_recv", "proc_exit", "sched_yield", "poll_oneoff"),
			"clocks: clock_time_get; wait: sched_yield poll_oneoff; exit: proc_exit; environment: args_get environ_sizes_get; sockets: sock_recv"},
		{[]string{"waddle_v1.fail", "waddle_v1.log", "waddle_v1.listen", "env.log"}, "log: log; fail: fail; unknown: listen log"},
		{append(wasi("sock_shutdown", "poll_oneoff"), "waddle_v1.dial", "waddle_v1.conn_read"), "network: sock_shutdown dial conn_read; wait: poll_oneoff"},
		{append(wasi("fd_write"), "env.path_open"), "output: fd_write; unknown: path_open"},
	} {
		var got []string
		uses, unknown := plugin.Uses(importing(c.imports...))
		if len(unknown) > 0 {
			uses = append(uses, plugin.Use{Permission: plugin.Permission{Name: "unknown"}, By: unknown})
		}
		for _, u := range uses {
			var by []string
			for _, i := range u.By {
				by = append(by, i.Name)
			}
			got = append(got, u.Name+": "+strings.Join(by, " "))
		}
		require.Equal(t, c.want, strings.Join(got, "; "), "%q", c.imports)
	}
}

// The table in the README is the table.
func TestReadmeHasEveryPermission(t *testing.T) {
	var want strings.Builder
	want.WriteString("| | a guest may | by importing | granted |\n|---|---|---|---|\n")
	for _, p := range plugin.Permissions() {
		granted := "to every guest"
		if p.Grant != "" {
			granted = "by `Config." + p.Grant + "`"
			if p.Without == "" {
				granted += "; who imports any and is not granted it is refused"
			} else {
				granted += "; without, " + p.Without
			}
		}
		fmt.Fprintf(&want, "| `%s` | %s | %s | %s |\n", p.Name, p.Meaning, importsInWords(p.Imports), granted)
	}
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	require.True(t, strings.Contains(string(readme), want.String()), "README.md should have\n%s", want.String())
}

// importsInWords lists functions; those of WASI by how their names begin, if most that
// begin so are among them.
func importsInWords(imports []preflight.Import) string {
	families := make(map[string][]string)
	for _, p := range plugin.Permissions() {
		for _, i := range p.Imports {
			families[family(i)] = append(families[family(i)], i.Name)
		}
	}
	isOne := func(name string) bool {
		return slices.ContainsFunc(imports, func(i preflight.Import) bool { return i.Name == name })
	}
	var words []string
	for _, i := range imports {
		var others []string
		for _, name := range families[family(i)] {
			if !isOne(name) {
				others = append(others, "`"+name+"`")
			}
		}
		word := i.Module + " `" + i.Name + "`"
		if all := len(families[family(i)]); i.Module == abi.ModuleWASI {
			word = "WASI `" + i.Name + "`"
			if all > 1 && 2*len(others) < all {
				word = "WASI `" + family(i) + "_*`"
				if len(others) > 0 {
					word += " but " + strings.Join(others, ", ")
				}
			}
		}
		if !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	return strings.Join(words, ", ")
}

func family(i preflight.Import) string {
	prefix, _, _ := strings.Cut(i.Name, "_")
	return prefix
}
