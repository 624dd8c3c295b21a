package plugin_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// These tests read abi/SPEC.md and hold the host to it, with guests made from its text.
// Package abi compares it with its constants.

// specGuest returns a guest with every export of the specification. It accepts
// everything and keeps nothing.
func specGuest(t testing.TB) *specModule {
	m := &specModule{exports: append(specFunctions(t, sectionRequired), specFunctions(t, sectionOptional)...)}
	m.returns(abi.ExportDescribe, int64(abi.Unsupported))
	chunk := abi.Pack(uint32(m.text(make([]byte, 8))), 8) // the cursor 0 and nothing
	m.returns(abi.ExportKeys, chunk)
	m.returns(abi.ExportSnapshot, chunk)
	return m
}

// specImport returns a function of the module waddle_v1, as section 10 has it.
func specImport(t testing.TB, name string) specFunction {
	for _, f := range specFunctions(t, sectionImports) {
		if f.name == name {
			f.module = abi.ModuleName
			return f
		}
	}
	require.Fail(t, "no such import", name)
	return specFunction{}
}

// specConfigOf runs a guest in one instance; a nil logger is silent.
func specConfigOf(logger *slog.Logger) plugin.Config {
	config := quiet()
	config.Shards, config.MemoryLimit = 1, 64<<20
	if logger != nil {
		config.Logger = logger
	}
	return config
}

// refused requires that a module is refused for a reason with these words.
func refused(t *testing.T, wasm []byte, kind error, named string) {
	t.Helper()
	_, err := plugin.Open(ctx, wasm, specConfigOf(nil))
	var e *plugin.LoadError
	require.ErrorAs(t, err, &e)
	require.ErrorIs(t, err, kind)
	require.Contains(t, e.Detail, named)
}

func TestSpecExports(t *testing.T) {
	required, optional := specFunctions(t, sectionRequired), specFunctions(t, sectionOptional)
	require.NotEmpty(t, required)
	require.NotEmpty(t, optional)
	open(t, specGuest(t).bytes(), specConfigOf(nil))
	for _, f := range append(slices.Clone(required), optional...) {
		t.Run(f.name, func(t *testing.T) {
			m := specGuest(t)
			m.export(f.name).params = append(slices.Clone(f.params), typeI32)
			refused(t, m.bytes(), plugin.ErrExport, f.name)
			m = specGuest(t)
			m.export(f.name).results = append(slices.Clone(f.results), typeI32)
			m.export(f.name).body = append(m.export(f.name).code(), opI32Const, 0)
			refused(t, m.bytes(), plugin.ErrExport, f.name)

			m = specGuest(t)
			m.without(f.name)
			switch {
			case f.name == abi.ExportMarker:
				refused(t, m.bytes(), plugin.ErrNotPlugin, f.name)
			case slices.ContainsFunc(required, func(r specFunction) bool { return r.name == f.name }):
				refused(t, m.bytes(), plugin.ErrExport, f.name)
			default:
				open(t, m.bytes(), specConfigOf(nil))
			}
		})
	}
	require.Contains(t, specSection(t, sectionModule), "names that begin with `"+rewrite.ReservedPrefix+"`")
	for _, name := range []string{rewrite.ReservedPrefix, rewrite.EntryExport, rewrite.ReservedPrefix + "x"} {
		m := specGuest(t)
		m.exports = append(m.exports, specFunction{name: name})
		refused(t, m.bytes(), plugin.ErrExport, name)
	}
	require.Contains(t, specSection(t, sectionRequired), "### `"+abi.ExportMemory+"`")
	refused(t, bytes.Replace(specGuest(t).bytes(), []byte("\x06memory"), []byte("\x06Memory"), 1), plugin.ErrExport, abi.ExportMemory)
}

func TestSpecImports(t *testing.T) {
	functions := specFunctions(t, sectionImports)
	require.NotEmpty(t, functions)
	require.Contains(t, specSection(t, sectionImports), "Module `"+abi.ModuleName+"`:")
	require.Contains(t, specSection(t, sectionImports), "Module `"+abi.ModuleWASI+"`: all functions of WASI preview 1")
	for i := range functions {
		functions[i].module = abi.ModuleName
	}
	// The runtime's own implementation says which functions WASI has.
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer r.Close(ctx)
	wasi, err := wasi_snapshot_preview1.NewBuilder(r).Compile(ctx)
	require.NoError(t, err)
	require.Greater(t, len(wasi.ExportedFunctions()), 40)
	for name, f := range wasi.ExportedFunctions() {
		functions = append(functions, specFunction{module: abi.ModuleWASI, name: name, params: f.ParamTypes(), results: f.ResultTypes()})
	}
	m := specGuest(t)
	m.imports = functions
	granting := specConfigOf(nil)
	granting.Network.Allow = []string{"tcp://example.com:443"}
	open(t, m.bytes(), granting)
	for _, f := range functions {
		m := specGuest(t)
		f.params = append(slices.Clone(f.params), typeI64)
		m.imports = []specFunction{f}
		refused(t, m.bytes(), plugin.ErrImport, f.name)
	}
	for _, f := range []specFunction{{module: abi.ModuleName, name: "listen"}, {module: abi.ModuleWASI, name: "sock_open"},
		{module: "env", name: "log"}, {module: "waddle_v2", name: "log"}} {
		m := specGuest(t)
		m.imports = []specFunction{f}
		refused(t, m.bytes(), plugin.ErrImport, f.name)
	}
}

// TestSpecFeatures tries every feature that section 1 names.
func TestSpecFeatures(t *testing.T) {
	text := strings.Join(strings.Fields(specSection(t, sectionModule)), " ")
	list := func(pattern string) map[string]bool {
		m := regexp.MustCompile(pattern).FindStringSubmatch(text)
		require.NotNil(t, m, pattern)
		names := make(map[string]bool)
		for _, name := range regexp.MustCompile(`, | or `).Split(regexp.MustCompile(` \([^)]*\)`).ReplaceAllString(m[1], ""), -1) {
			names[name] = true
		}
		return names
	}
	// Code in the marker, which nobody calls, or a section shows a feature.
	body := func(code ...byte) func(*specModule) {
		return func(m *specModule) { m.export(abi.ExportMarker).body = code }
	}
	extra := func(id byte, content ...byte) func(*specModule) {
		return func(m *specModule) { m.extra = map[byte][]byte{id: content} }
	}
	limits := func(b ...byte) func(*specModule) { return func(m *specModule) { m.memory = b } }
	features := map[bool]map[string][]func(*specModule){
		true: {
			"mutable globals": {func(m *specModule) {
				m.extra = map[byte][]byte{6: {1, typeI32, 1, opI32Const, 0, opEnd}}
				m.data = append(m.data, specData{})
			}},
			"sign extension":                       {body(opI32Const, 0, 0xc0, opDrop)},
			"non-trapping float-to-int conversion": {body(0x43, 0, 0, 0, 0, 0xfc, 0, opDrop)},
			"multi-value": {func(m *specModule) {
				m.exports = append(m.exports, specFunction{name: "two", results: []byte{typeI32, typeI64}})
			}},
			"bulk memory":      {body(opI32Const, 0, opI32Const, 0, opI32Const, 0, 0xfc, 11, 0)},
			"fixed-width SIMD": {body(append(append([]byte{0xfd, 12}, make([]byte, 16)...), opDrop)...)},
		},
		false: {
			"reference types":   {body(0xd0, 0x70, opDrop), extra(4, 2, 0x70, 0, 1, 0x70, 0, 1), extra(4, 1, 0x6f, 0, 1)},
			"threads":           {body(0xfe, 3, 0), limits(1, 3, 1, 1)},
			"tail calls":        {body(0x12, 0)},
			"exceptions":        {body(0x08, 0), extra(13, 1, 0, 0)},
			"multiple memories": {limits(2, 0, 1, 0, 1)},
			"64-bit memory":     {limits(1, 4, 1)},
		},
	}
	for allowed, pattern := range map[bool]string{true: `these later features: ([^.]*)\.`, false: `must not use (.*?)\. A module`} {
		named := list(pattern)
		require.ElementsMatch(t, slices.Collect(maps.Keys(named)), slices.Collect(maps.Keys(features[allowed])))
		for name, ways := range features[allowed] {
			for i, way := range ways {
				m := specGuest(t)
				way(m)
				p, err := plugin.Open(ctx, m.bytes(), specConfigOf(nil))
				if allowed {
					require.NoError(t, err, name)
					require.NoError(t, p.Close(ctx))
					continue
				}
				require.Error(t, err, "%s, number %d", name, i)
				require.True(t, errors.Is(err, plugin.ErrFeature) || errors.Is(err, plugin.ErrModule), "%s, number %d: %v", name, i, err)
			}
		}
	}
	require.Contains(t, text, "must not have a start section")
	m := specGuest(t)
	m.extra = map[byte][]byte{8: uleb(slices.IndexFunc(m.exports, func(f specFunction) bool { return f.name == abi.ExportInitialize }))}
	refused(t, m.bytes(), plugin.ErrFeature, "start section")
}

// TestSpecLife: the steps of section 2, in order.
func TestSpecLife(t *testing.T) {
	var said []string
	for _, step := range regexp.MustCompile("(?m)^\\d\\. .*(?:\n   .*)*").FindAllString(specSection(t, sectionLife), -1) {
		for i, m := range regexp.MustCompile("`(_?[a-z]\\w+)`").FindAllStringSubmatch(step, -1) {
			if i == 0 && (len(said) == 0 || said[len(said)-1] != m[1]) {
				said = append(said, m[1])
			}
		}
	}
	// session_alloc is named again for longer buffers, which do not come here.
	if i := slices.Index(said, abi.ExportOpen); i >= 0 && i+1 < len(said) && said[i+1] == abi.ExportAlloc {
		said = slices.Delete(said, i+1, i+2)
	}
	require.Equal(t, []string{abi.ExportInitialize, abi.ExportDescribe, abi.ExportAlloc, abi.ExportOpen, abi.ExportSave}, said)
	require.Contains(t, specSection(t, sectionLife), "before that `"+abi.ExportFlush+"`")
	said = slices.Insert(said, len(said)-1, abi.ExportFlush)

	m := specGuest(t)
	log := m.imported(specImport(t, abi.ImportLog))
	for i := range m.exports {
		f := &m.exports[i]
		body := append(append([]byte{opI32Const, 0, opI32Const}, sleb(int64(m.text([]byte(f.name))))...), opI32Const)
		f.body = append(append(append(body, sleb(int64(len(f.name)))...), opCall, byte(log)), f.code()...)
	}
	var lines logBuffer
	p := open(t, m.bytes(), specConfigOf(jsonLogger(&lines)))
	require.NoError(t, p.Close(ctx))
	var done []string
	for _, line := range guestLines(t, &lines) {
		done = append(done, line.Message)
	}
	require.Equal(t, said, done)
}

type guestLine struct {
	Message string `json:"msg"`
	Level   string `json:"level"`
	Source  string `json:"source"`
}

func jsonLogger(b *logBuffer) *slog.Logger {
	return slog.New(slog.NewJSONHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// guestLines returns what the guest itself wrote to a log.
func guestLines(t testing.TB, b *logBuffer) (lines []guestLine) {
	for line := range strings.Lines(b.String()) {
		var l guestLine
		require.NoError(t, json.Unmarshal([]byte(line), &l))
		if l.Source == "log" {
			lines = append(lines, l)
		}
	}
	return lines
}

// operations of a store, by their names in the table of codes.
var specOperations = map[string]func(p *plugin.Plugin) error{
	"get":    func(p *plugin.Plugin) error { _, err := p.Get(ctx, []byte("k"), 1); return err },
	"set":    func(p *plugin.Plugin) error { return p.Set(ctx, store.Write{Key: []byte("k"), Now: 1}) },
	"touch":  func(p *plugin.Plugin) error { return p.Touch(ctx, []byte("k"), 9, 1) },
	"delete": func(p *plugin.Plugin) error { return p.Delete(ctx, []byte("k"), 1) },
	"clear":  func(p *plugin.Plugin) error { return p.Clear(ctx, 1) },
	"save":   func(p *plugin.Plugin) error { return p.Save(ctx, 1) },
	"sweep":  func(p *plugin.Plugin) error { _, err := p.Sweep(ctx, 5, 1); return err },
	"keys": func(p *plugin.Plugin) (err error) {
		for _, err = range p.Keys(ctx, 1) {
		}
		return err
	},
	"snapshot": func(p *plugin.Plugin) (err error) {
		for _, err = range p.Snapshot(ctx, 1) {
		}
		return err
	},
	"restore": func(p *plugin.Plugin) error {
		return p.Restore(ctx, func(yield func(store.Record, error) bool) { yield(store.Record{Key: []byte("k")}, nil) }, 1)
	},
}

// TestSpecCodes: each code, from each operation that may answer it, gives an error that
// a caller can decide by, and leaves the instance alive.
func TestSpecCodes(t *testing.T) {
	fail := func(t *testing.T, operation string, code int64, want error) {
		t.Helper()
		m := specGuest(t)
		m.returns("session_"+operation, code)
		if operation == "touch" && code == int64(abi.Unsupported) {
			m.returns(abi.ExportGet, int64(abi.NotFound)) // the host reads and writes instead
			want = store.ErrNotFound
		}
		if operation == "restore" && code == int64(abi.Unsupported) {
			want = nil // the host sets them one by one
		}
		p := open(t, m.bytes(), specConfigOf(nil))
		err := specOperations[operation](p)
		require.ErrorIs(t, err, want, "%s answered %d", operation, code)
		require.NoError(t, p.Set(ctx, store.Write{Key: []byte("other"), Now: 1, Expect: store.Any}), "%s", operation)
		require.Zero(t, p.Stats().Restarts)
	}
	rows := specRows(t, sectionCodes)
	require.Len(t, rows, 10)
	for _, row := range rows {
		t.Run(row[1], func(t *testing.T) {
			code, err := strconv.ParseInt(row[0], 10, 64)
			require.NoError(t, err)
			want := store.FromCode(abi.Code(code))
			require.Equal(t, strings.ReplaceAll(row[1], "_", ""), strings.ToUpper(specErrors[want]))
			operations := strings.Split(row[3], ", ")
			if row[3] == "all" {
				operations = slices.Collect(maps.Keys(specOperations))
			}
			for _, operation := range operations {
				require.Contains(t, specOperations, operation)
				if operation == "set" {
					continue // below: here it shows that the instance lives
				}
				fail(t, operation, code, want)
			}
			m := specGuest(t)
			m.returns(abi.ExportSet, code)
			p := open(t, m.bytes(), specConfigOf(nil))
			require.ErrorIs(t, specOperations["set"](p), want)
			require.Zero(t, p.Stats().Restarts)

			m = specGuest(t)
			m.returns(abi.ExportOpen, code)
			_, err = plugin.Open(ctx, m.bytes(), specConfigOf(nil))
			require.ErrorIs(t, err, plugin.ErrOpen)
			require.ErrorIs(t, err, want)
			require.ErrorContains(t, err, row[1])
		})
	}
	require.Contains(t, words(t, sectionCodes), "Any other negative number is taken as INTERNAL")
	for _, code := range []int64{-11, -1000, -1 << 63} {
		fail(t, "get", code, store.ErrInternal)
	}
}

// specErrors names the errors of package store.
var specErrors = map[error]string{
	store.ErrNotFound: "NotFound", store.ErrInvalid: "Invalid", store.ErrTooLarge: "TooLarge", store.ErrNoSpace: "NoSpace",
	store.ErrUnavailable: "Unavailable", store.ErrConflict: "Conflict", store.ErrCorrupt: "Corrupt", store.ErrDenied: "Denied",
	store.ErrUnsupported: "Unsupported", store.ErrInternal: "Internal",
}
