package proof_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// specVersions are the specification's tests that the runtime's module ships, and how
// many assertions each must give at least. A module that the rewriter refuses is run as
// it is and not counted.
var specVersions = []struct {
	name     string
	features api.CoreFeatures
	atLeast  int
}{
	{"v1", api.CoreFeaturesV1, 15_000},
	{"v2", api.CoreFeaturesV2, 40_000},
}

// specCommand is a step of a script.
type specCommand struct {
	Type, Name, Filename, As, Text string
	Line                           int
	ModuleType                     string `json:"module_type"`
	Action                         struct {
		Type, Field, Module string
		Args                []specValue
	}
	Expected []specValue
}

// specDirectory is where the scripts lie in the runtime's module.
func specDirectory() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	dir := filepath.Join(strings.TrimSpace(string(out)), "internal", "integration_test", "spectest")
	if err == nil {
		_, err = os.Stat(dir)
	}
	return dir, err
}

// TestSpecification runs the specification's own tests, as they are and rewritten.
func TestSpecification(t *testing.T) {
	dir, err := specDirectory()
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("the module cache has no tests of the specification: %v", err)
		}
		t.Skipf("SKIPPED: the specification's tests, which the module cache should have: %v", err)
	}
	for _, version := range specVersions {
		scripts, err := filepath.Glob(filepath.Join(dir, version.name, "testdata", "*.json"))
		require.NoError(t, err)
		require.Greater(t, len(scripts), 50)
		for engine := range engines {
			for _, metered := range []bool{false, true} {
				// One run unmetered shows that the results are read as they are meant. Nearly
				// all of v1 is in v2, too.
				second := version.name == "v2"
				if usual := metered && (second || engine == "compiler") || !metered && second && engine == "interpreter"; !usual && long(t) == 0 {
					continue
				}
				name := fmt.Sprintf("%s/%s/metered=%v", version.name, engine, metered)
				t.Run(name, func(t *testing.T) {
					total := &specCounts{refused: make(map[string]int)}
					for _, script := range scripts {
						runScript(t, script, engine, version.features, metered, total)
					}
					for _, why := range slices.Sorted(maps.Keys(total.refused)) {
						t.Logf("%d modules are not rewritten: %s", total.refused[why], why)
					}
					t.Logf("%d assertions, %d more with modules that are not rewritten, %d modules, %d invalid ones, %d hooks",
						total.assertions, total.without, total.modules, total.invalid, total.hooks)
					require.GreaterOrEqual(t, total.assertions, version.atLeast)
				})
			}
		}
	}
}

// specCounts say what was run.
type specCounts struct {
	assertions, without, modules, invalid, hooks int
	refused                                      map[string]int // by reason
}

// script is a run of one script.
type script struct {
	*specCounts
	dir     string
	engine  string
	metered bool
	runtime wazero.Runtime
	count   meter
	modules map[string]*specInstance
	last    *specInstance
	all     []*specInstance
}

// specInstance is an instance of a module, and whether it was rewritten.
type specInstance struct {
	api.Module
	rewritten bool
}

func runScript(t *testing.T, path, engine string, features api.CoreFeatures, metered bool, total *specCounts) {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	var file struct{ Commands []specCommand }
	require.NoError(t, json.Unmarshal(b, &file), path)
	s := &script{specCounts: total, dir: filepath.Dir(path), engine: engine, metered: metered, modules: make(map[string]*specInstance)}
	s.count = meter{budget: 1 << 62, slice: 50_000, depth: rewrite.DepthLimit}
	ctx := s.count.with(context.Background())
	s.runtime = wazero.NewRuntimeWithConfig(ctx, engines[engine]().WithCoreFeatures(features))
	defer s.runtime.Close(ctx)
	_, err = s.runtime.InstantiateWithConfig(ctx, spectest(), wazero.NewModuleConfig().WithName("spectest"))
	require.NoError(t, err)
	for i := 0; i < len(file.Commands); i++ {
		c := &file.Commands[i]
		as := ""
		if next := i + 1; c.Type == "module" && next < len(file.Commands) && file.Commands[next].Type == "register" {
			as = file.Commands[next].As
			i++
		}
		if err := s.step(ctx, c, as); err != nil {
			t.Errorf("%s:%d: %s %s: %v", filepath.Base(path), c.Line, c.Type, c.Action.Field, err)
		}
	}
	total.hooks += s.count.hooks
	require.NoError(t, s.count.fault)
}

// step runs a command. as is the name under which a module is registered.
func (s *script) step(ctx context.Context, c *specCommand, as string) error {
	switch c.Type {
	case "module":
		m, err := s.instantiate(ctx, c, as)
		if err != nil {
			return err
		}
		s.specCounts.modules++
		s.last = m
		if s.all = append(s.all, m); c.Name != "" {
			s.modules[c.Name] = m
		}
		return nil
	case "assert_return", "action":
		return s.asserted(c, s.returns(ctx, c))
	case "assert_trap", "assert_exhaustion":
		return s.asserted(c, s.fails(ctx, c))
	case "assert_malformed", "assert_invalid", "assert_unlinkable", "assert_uninstantiable":
		if c.ModuleType == "text" {
			return nil // there is no module in binary form
		}
		s.invalid++
		_, err := s.instantiate(ctx, c, "")
		// The runtime lets such a module be, as its own tests say.
		if c.Type == "assert_uninstantiable" && c.Text == "out of bounds table access" {
			return err
		}
		if err == nil {
			return errors.New("the module runs: must be refused")
		}
		return nil
	}
	return errors.New("an unknown command")
}

func (s *script) asserted(c *specCommand, err error) error {
	if m := s.module(c); s.metered && m != nil && !m.rewritten {
		s.without++
	} else {
		s.assertions++
	}
	return err
}

func (s *script) module(c *specCommand) *specInstance {
	if c.Action.Module != "" {
		return s.modules[c.Action.Module]
	}
	return s.last
}

// instantiate brings up a module, rewritten if the rewriter takes it.
func (s *script) instantiate(ctx context.Context, c *specCommand, as string) (*specInstance, error) {
	wasm, err := os.ReadFile(filepath.Join(s.dir, c.Filename))
	if err != nil {
		return nil, err
	}
	compiling, m := context.Background(), new(specInstance)
	if s.metered {
		out, report, err := rewrite.Module(wasm, rewrite.Options{Meter: true, MergeData: true})
		switch {
		case err == nil:
			wasm, compiling, m.rewritten = out, hooked(compiling, report.Hook), true
		case c.Type == "module" || c.Type == "assert_uninstantiable":
			s.refused[kind(err)]++
		default:
			return nil, err
		}
	}
	code, err := s.runtime.CompileModule(compiling, wasm)
	if err != nil {
		return nil, err
	}
	m.Module, err = s.runtime.InstantiateModule(ctx, code, wazero.NewModuleConfig().WithName(as).WithStartFunctions())
	return m, err
}

// kind is an error without its place.
func kind(err error) string {
	text := err.Error()
	if before, _, found := strings.Cut(text, " (section"); found {
		text = before
	}
	if before, _, found := strings.Cut(text, " (function"); found {
		text = before
	}
	if _, after, found := strings.Cut(text, "at byte "); found {
		if _, after, found = strings.Cut(after, ": "); found {
			text = after
		}
	}
	return text
}

func (s *script) call(ctx context.Context, c *specCommand) (types []wasmbin.ValueType, results []uint64, err error) {
	m := s.module(c)
	if m == nil || m.Module == nil {
		return nil, nil, errors.New("no module")
	}
	if c.Action.Type == "get" {
		g := m.ExportedGlobal(c.Action.Field)
		if g == nil {
			return nil, nil, errors.New("no global")
		}
		return typesOf([]api.ValueType{g.Type()}), []uint64{g.Get()}, nil
	}
	f := m.ExportedFunction(c.Action.Field)
	if f == nil {
		return nil, nil, errors.New("no function")
	}
	args, err := arguments(c.Action.Args)
	if err != nil {
		return nil, nil, err
	}
	for _, m := range s.all { // functions of all modules may be called
		if m.rewritten {
			counter(m, rewrite.DepthExport).Set(rewrite.DepthLimit)
		}
	}
	results, err = f.Call(ctx, args...)
	return typesOf(f.Definition().ResultTypes()), results, err
}

func (s *script) returns(ctx context.Context, c *specCommand) error {
	types, results, err := s.call(ctx, c)
	if err != nil {
		return err
	}
	if c.Type == "action" {
		return nil
	}
	return match(types, results, c.Expected)
}

func (s *script) fails(ctx context.Context, c *specCommand) error {
	_, _, err := s.call(ctx, c)
	if err == nil {
		return errors.New("it returned")
	}
	got := reason(err)
	for begin, reasons := range specTraps {
		if strings.HasPrefix(c.Text, begin) && slices.Contains(reasons, got) {
			return nil
		}
	}
	return fmt.Errorf("%q: must be %q", got, c.Text)
}

// specTraps are the specification's words for traps, or how these begin, and the
// runtime's.
var specTraps = map[string][]string{
	"out of bounds memory access":   {"out of bounds memory access"},
	"out of bounds table access":    {"invalid table access"},
	"undefined":                     {"invalid table access"},
	"uninitialized":                 {"invalid table access"},
	"indirect call":                 {"indirect call type mismatch"},
	"integer overflow":              {"integer overflow"},
	"invalid conversion to integer": {"invalid conversion to integer"},
	"integer divide by zero":        {"integer divide by zero"},
	"unreachable":                   {"unreachable"},
	"call stack exhausted":          {"stack overflow", errDepth.Error()},
}

// spectest is the module that the specification's tests import from.
func spectest() []byte {
	const i32, i64, f32, f64 = wasmbin.I32, wasmbin.I64, wasmbin.F32, wasmbin.F64
	m := new(wasmbin.Module)
	var types []wasmbin.FuncType
	var functions []wasmbin.Index
	var bodies []wasmbin.Body
	var exports []wasmbin.Export
	for i, params := range [][]wasmbin.ValueType{nil, {i32}, {i64}, {f32}, {f64}, {i32, f32}, {f64, f64}} {
		name := "print"
		for _, p := range params {
			name += "_" + p.String()
		}
		types = append(types, wasmbin.FuncType{Params: params})
		functions = append(functions, wasmbin.Index(i))
		bodies = append(bodies, wasmbin.Code(nil).Body())
		exports = append(exports, wasmbin.Export{Name: name, Index: uint32(i)})
	}
	var globals []wasmbin.Global
	for i, init := range []string{"\x41\x9a\x05\x0b", "\x42\x9a\x05\x0b", "\x43\x66\xa6\x26\x44\x0b", "\x44\xcd\xcc\xcc\xcc\xcc\xd4\x84\x40\x0b"} { // 666, 666, 666.6, 666.6
		t := []wasmbin.ValueType{i32, i64, f32, f64}[i]
		globals = append(globals, wasmbin.Global{GlobalType: wasmbin.GlobalType{Type: t}, Init: wasmbin.Expression(init)})
		exports = append(exports, wasmbin.Export{Name: "global_" + t.String(), Kind: wasmbin.KindGlobal, Index: uint32(i)})
	}
	exports = append(exports, wasmbin.Export{Name: "table", Kind: wasmbin.KindTable}, wasmbin.Export{Name: "memory", Kind: wasmbin.KindMemory})
	wasmbin.SetItems(m, wasmbin.SectionType, types)
	wasmbin.SetItems(m, wasmbin.SectionFunction, functions)
	wasmbin.SetItems(m, wasmbin.SectionTable, []wasmbin.Table{{Type: wasmbin.FuncRef, Limits: wasmbin.Limits{Flags: wasmbin.HasMax, Min: 10, Max: 20}}})
	wasmbin.SetItems(m, wasmbin.SectionMemory, []wasmbin.Memory{{Limits: wasmbin.Limits{Flags: wasmbin.HasMax, Min: 1, Max: 2}}})
	wasmbin.SetItems(m, wasmbin.SectionGlobal, globals)
	wasmbin.SetItems(m, wasmbin.SectionExport, exports)
	wasmbin.SetItems(m, wasmbin.SectionCode, bodies)
	return m.Append(nil)
}
