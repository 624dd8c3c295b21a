package plugin_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/plugin/preflight"
	"github.com/waddle-sessions/waddle/host/store"
)

// attack is one thing that a guest tries. try returns what the host did wrong.
type attack struct {
	kind, name string
	most       int64                  // bytes that the process may grow by meanwhile
	wasm       func() ([]byte, error) // makes the module; not part of the attack
	try        func(wasm []byte) error
}

// A host's promises about its memory, beside the guest's own. README.md has the same
// figures.
const (
	boundRefusal   = 16 << 20
	boundRunning   = 64 << 20
	boundInstance  = 1 << 20 // for each shard beside MemoryLimit
	boundRecursion = 64 << 20
	boundCompile   = 128 << 20 // beside Limits.CompileMemory
	testMemory     = 64 << 20  // MemoryLimit of most attacks
)

// The kinds of attacks that a host withstands; each has at least one.
const (
	pointers   = "pointers and lengths out of range and overflowing"
	signatures = "wrong signatures"
	imports    = "unknown imports"
	tables     = "a huge table"
	memories   = "many memories"
	starts     = "start section"
	loops      = "endless loop in each export and in initialisation"
	recursions = "endless recursion"
	growth     = "growth to the limit"
	exits      = "exit"
	traps      = "trap in each export"
	floods     = "log floods with control characters"
	lies       = "a describe that lies"
	nothing    = "4 GiB of nothing"
	bombs      = "a compile bomb within the size limit"
	endlessly  = "an enumeration without an end"
	abuse      = "abuse of a network"
	masses     = "tables, elements, globals and segments in each instance"
)

var attackKinds = []string{pointers, signatures, imports, tables, memories, starts, loops, recursions, growth, exits,
	traps, floods, lies, nothing, bombs, endlessly, masses, abuse}

// attacks are all attacks.
func attacks() []attack {
	var all []attack
	all = append(all, attacksOnOperations()...)
	all = append(all, attacksInOpening()...)
	all = append(all, attacksWithSignatures()...)
	all = append(all, attacksThatOpen()...)
	all = append(all, attacksWithNothing()...)
	all = append(all, attacksInMasses()...)
	all = append(all, attacksOnNetworks()...)
	return append(all, attacksOnTheCompiler()...)
}

// fixture is a guest from testdata.
func fixture(name string) func() ([]byte, error) {
	return func() ([]byte, error) { return os.ReadFile(filepath.Join("testdata", name+".wasm")) }
}

// untrusted is a Config with a deadline that only an endless call exceeds.
func untrusted() plugin.Config {
	c := quiet()
	c.Trusted, c.Shards, c.Deadline = false, 1, patientDeadline
	return c
}

// neverOpening is for guests whose opening does not end.
func neverOpening() plugin.Config {
	c := untrusted()
	c.OpenDeadline = 100 * time.Millisecond
	return c
}

// refusal is a module that Open must refuse for that reason, in these words.
func refusal(attackKind, name string, most int64, wasm func() ([]byte, error), config plugin.Config, kind error, says ...string) attack {
	return attack{attackKind, name, most, wasm, func(b []byte) error {
		p, err := plugin.Open(ctx, b, config)
		if err == nil {
			return errors.Join(errors.New("it was accepted"), p.Close(ctx))
		}
		var refused *plugin.LoadError
		if !errors.As(err, &refused) || !errors.Is(err, kind) {
			return fmt.Errorf("an error of another kind than %q: %w", kind, err)
		}
		return readable(err, append(says, kind.Error())...)
	}}
}

// readable checks that an error is one line of text with these words.
func readable(err error, says ...string) error {
	text := err.Error()
	for _, s := range says {
		if !strings.Contains(text, s) {
			return fmt.Errorf("an error that does not say %q: %q", s, text)
		}
	}
	if strings.ContainsAny(text, "\n\r\x1b\x00") || !utf8.ValidString(text) || len(text) > 4096 {
		return fmt.Errorf("an error that is not a readable line: %q", text)
	}
	return nil
}

// attacksOnOperations make the hostile guest fail in each export in turn.
func attacksOnOperations() (all []attack) {
	kinds := map[int64]string{
		int64(actTrap): traps, int64(actDivide): traps, int64(actEmptyTable): traps, int64(actLoop): loops, int64(actRecurse): recursions,
		int64(actBeyond): pointers, int64(actOverflow): pointers, int64(actOneByteBeyond): pointers, int64(actTooLong): pointers,
		int64(actLogBeyond): pointers, int64(actLogOverflow): pointers, int64(actFailBeyond): pointers, int64(actFailBeyondMemory): pointers,
		int64(actExit): exits, int64(actExitZero): exits, int64(actGrow): growth, int64(actLogFlood): floods, int64(actWriteFlood): floods,
		int64(actRandomFlood): loops, int64(actRandomStraight): loops,
	}
	for _, f := range failures {
		if f.act == actRecurse && f.kind != plugin.ErrDepth {
			continue // of a trusted guest
		}
		kind, ok := kinds[int64(f.act)]
		if !ok {
			panic("no kind for " + f.name)
		}
		most := int64(boundRunning + testMemory)
		if f.act == actRecurse {
			most += boundRecursion
		}
		all = append(all, attack{kind, "in each operation: " + f.name, most, fixture("hostile"),
			func(wasm []byte) error { return failEverywhere(wasm, f) }})
	}
	return append(all, attack{pointers, "functions of WASI", boundRunning, fixture("hostile"), func(wasm []byte) error {
		p, err := plugin.Open(ctx, wasm, untrusted())
		if err != nil {
			return err
		}
		defer p.Close(ctx)
		return p.Clear(ctx, actWasiBeyond)
	}})
}

// failEverywhere makes the guest fail in each operation, with a new instance
// each time.
func failEverywhere(wasm []byte, f failing) error {
	clock := newClock()
	config := quiet()
	config.Trusted, config.Shards, config.Deadline, config.Now = false, 1, f.deadline, clock.Now
	p, err := plugin.Open(ctx, wasm, config)
	if err != nil {
		return err
	}
	defer p.Close(ctx)
	tried := 0
	for name, operate := range operations {
		if !f.in(name) {
			continue
		}
		tried++
		err := operate(p, store.Millis(f.act))
		var e *plugin.Error
		if !errors.As(err, &e) || !errors.Is(err, f.kind) || !errors.Is(err, store.ErrUnavailable) || e.Op != name {
			return fmt.Errorf("%s: an error of another kind than %q: %w", name, f.kind, err)
		}
		if err := readable(err, f.says); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		clock.advance(time.Hour)
	}
	if tried < 2 {
		return fmt.Errorf("only %d operations were tried", tried)
	}
	return nil
}

// attacksInOpening are guests that are refused or fail before the first
// operation.
func attacksInOpening() (all []attack) {
	for _, c := range []struct {
		kind, fixture string
		is            error
		says          []string
	}{
		{pointers, "alloc_outside", plugin.ErrOpen, []string{"0x0000fde8", "65536"}},
		{pointers, "alloc_negative", plugin.ErrOpen, []string{"0xfffffff0", "65536"}},
		{pointers, "describe_outside", plugin.ErrOpen, []string{"0x70000000", "65536"}},
		{pointers, "describe_overflow", plugin.ErrOpen, []string{"32769 bytes at 0x7fffffff", "65536"}},
		{pointers, "data_outside", plugin.ErrModule, []string{"at byte 65535: must lie within the memory, which has 1 pages"}},
		{pointers, "elements_outside", plugin.ErrModule, []string{"an element segment of", "must lie within the table"}},
		{signatures, "marker_signature", plugin.ErrExport, []string{"session_abi_v1"}},
		{signatures, "marker_memory", plugin.ErrExport, []string{"a memory"}},
		{signatures, "export_signature", plugin.ErrExport, []string{"session_get"}},
		{signatures, "export_global", plugin.ErrExport, []string{"a global"}},
		{signatures, "export_missing", plugin.ErrExport, []string{"session_save", "not exported"}},
		{signatures, "optional_signature", plugin.ErrExport, []string{"session_touch"}},
		{signatures, "memory_function", plugin.ErrExport, []string{`"memory" is a function`}},
		{imports, "import_module", plugin.ErrImport, []string{`"env"."abort"`}},
		{imports, "import_function", plugin.ErrImport, []string{`"waddle_v1"."listen"`}},
		{imports, "import_signature", plugin.ErrImport, []string{`"waddle_v1"."log"`}},
		{imports, "import_wasi", plugin.ErrImport, []string{`"sock_open"`}},
		{imports, "import_memory", plugin.ErrFeature, []string{`a memory, "env"."memory"`}},
		{imports, "import_table", plugin.ErrFeature, []string{`a table, "env"."table"`}},
		{imports, "import_global", plugin.ErrFeature, []string{`a global, "waddle_v1"."secret"`}},
		{tables, "table_huge", plugin.ErrLimits, []string{"120000000", "262144"}},
		{tables, "table_grow", plugin.ErrFeature, []string{"reference types"}},
		{memories, "memories_many", plugin.ErrFeature, []string{"100 memories", "must be 1"}},
		{starts, "start", plugin.ErrFeature, []string{"start section", "_initialize"}},
		{loops, "init_loop", plugin.ErrOpen, []string{"may run for 100ms"}},
		{loops, "describe_loop", plugin.ErrOpen, []string{"may run for 100ms"}},
		{loops, "alloc_loop", plugin.ErrOpen, []string{"may run for 100ms"}},
		{loops, "open_loop", plugin.ErrOpen, []string{"may run for 100ms"}},
		{recursions, "init_recursion", plugin.ErrOpen, []string{"bytes of stack: may take 16777216"}},
		{exits, "init_exit", plugin.ErrOpen, []string{"exited with code 2"}},
		{exits, "open_exit", plugin.ErrOpen, []string{"exited with code 3"}},
		{exits, "alloc_exit", plugin.ErrOpen, []string{"exited with code 4"}},
		{exits, "describe_exit", plugin.ErrOpen, []string{"exited with code 5"}},
		{traps, "init_trap", plugin.ErrOpen, []string{"unreachable"}},
		{traps, "describe_trap", plugin.ErrOpen, []string{"unreachable"}},
		{traps, "alloc_trap", plugin.ErrOpen, []string{"unreachable"}},
		{traps, "open_trap", plugin.ErrOpen, []string{"unreachable"}},
		{floods, "init_flood", plugin.ErrOpen, []string{"may run for 100ms"}},
		{lies, "describe_huge", plugin.ErrOpen, []string{"1048576 bytes"}},
		{lies, "describe_unpaired", plugin.ErrOpen, []string{"not a pair"}},
		{lies, "describe_small", plugin.ErrOpen, []string{"max_key", `"63"`}},
		{lies, "describe_limits", plugin.ErrOpen, []string{"max_value", `"-1"`}},
		{nothing, "memory_huge", plugin.ErrLimits, []string{"65536 pages"}},
		{nothing, "memory_large", plugin.ErrLimits, []string{"1073741824"}},
		{bombs, "nested", plugin.ErrLimits, []string{"nested blocks"}},
	} {
		most, config := int64(boundRefusal), untrusted()
		if strings.HasPrefix(c.says[0], "may run for") {
			config = neverOpening()
		}
		switch {
		case c.kind == recursions:
			most = boundRecursion + boundRunning
		case c.is == plugin.ErrOpen: // it has run
			most = boundRunning
		}
		all = append(all, refusal(c.kind, c.fixture, most, fixture(c.fixture), config, c.is, c.says...))
	}
	return all
}

// attacksWithSignatures change the parameters of each export of the contract, and
// its result.
func attacksWithSignatures() (all []attack) {
	made := func(wasm []byte) func() ([]byte, error) { return func() ([]byte, error) { return wasm, nil } }
	right := made(guestWith("", "", "", nil, plain))
	all = append(all, attack{signatures, "none is wrong", boundRunning, right, func(wasm []byte) error {
		p, err := plugin.Open(ctx, wasm, untrusted())
		if err != nil {
			return err
		}
		return p.Close(ctx)
	}})
	for _, e := range contractExports {
		results := ""
		if e.results == "" {
			results = "\x7f"
		}
		for what, wasm := range map[string][]byte{
			"parameters": guestWith(e.name, e.params+"\x7d", e.results, nil, plain),
			"results":    guestWith(e.name, e.params, results, nil, plain),
		} {
			all = append(all, refusal(signatures, what+" of "+e.name, boundRefusal, made(wasm), untrusted(),
				plugin.ErrExport, e.name, "must be a function"))
		}
	}
	return all
}

// attacksThatOpen are guests that open and must then keep to a rule.
func attacksThatOpen() []attack {
	opened := func(kind, name string, most int64, config plugin.Config, then func(*plugin.Plugin) error) attack {
		return attack{kind, name, most, fixture(name), func(wasm []byte) error {
			p, err := plugin.Open(ctx, wasm, config)
			if err != nil {
				return err
			}
			return errors.Join(then(p), p.Close(ctx))
		}}
	}
	idle := quiet()
	idle.Shards, idle.MemoryLimit = 1, 2<<30
	return []attack{
		opened(pointers, "alloc_later", boundRunning, untrusted(), func(p *plugin.Plugin) error {
			err := p.Set(ctx, store.Write{Key: key, Value: make([]byte, 8192), Now: 1})
			if !errors.Is(err, plugin.ErrMemory) {
				return fmt.Errorf("a write through a buffer outside of the memory: %w", err)
			}
			return readable(err, "session_alloc", "0x7ffffff0")
		}),
		opened(growth, "init_grow", boundRunning+testMemory, untrusted(), func(p *plugin.Plugin) error {
			if used := p.Stats().Memory; used != testMemory {
				return fmt.Errorf("it has %d bytes of memory, and the limit is %d", used, testMemory)
			}
			if err := p.Clear(ctx, 1); err != nil {
				return fmt.Errorf("it does not work at its limit: %w", err)
			}
			return nil
		}),
		opened(nothing, "memory_nothing", boundRunning, idle, func(p *plugin.Plugin) error {
			return p.Clear(ctx, 1)
		}),
		opened(endlessly, "endless", boundRunning+4*testMemory, quiet(), func(p *plugin.Plugin) error {
			if err := p.Set(ctx, store.Write{Key: []byte("large"), Now: 1}); err != nil {
				return err
			}
			for _, err := range []error{last(p.Keys(ctx, 1)), last(p.Snapshot(ctx, 1)), p.Recycle(ctx)} {
				if !errors.Is(err, plugin.ErrEndless) {
					return fmt.Errorf("an error of another kind: %w", err)
				}
				if err := readable(err, "bytes of memory"); err != nil {
					return err
				}
			}
			return nil
		}),
		opened(lies, "describe_unsupported", boundRunning, untrusted(), func(p *plugin.Plugin) error {
			return p.Clear(ctx, 1)
		}),
		opened(lies, "describe_text", boundRunning, untrusted(), func(p *plugin.Plugin) error {
			info := p.Info()
			for _, s := range append(info.Capabilities, info.Name, info.Version, p.Name()) {
				if len(s) > 3*64 || strings.ContainsAny(s, "\x1b\x07\n\x00\u202e") || !utf8.ValidString(s) {
					return fmt.Errorf("it is described as %q", s)
				}
			}
			if !strings.HasPrefix(info.Name, "a\ufffd\ufffd[31m\ufffdxxx") {
				return fmt.Errorf("it is called %q", info.Name)
			}
			return nil
		}),
		opened(lies, "describe_capabilities", boundRunning, untrusted(), func(p *plugin.Plugin) error {
			if n := len(p.Info().Capabilities); n == 0 || n > 64 {
				return fmt.Errorf("%d capabilities were kept", n)
			}
			return nil
		}),
	}
}

// attacksWithNothing declare gigabytes in a few bytes.
func attacksWithNothing() (all []attack) {
	const most = "\xff\xff\xff\xff\x0f" // 4294967295
	void, function := section(1, "\x01"+plain), section(3, "\x01\x00")
	for name, c := range map[string]struct {
		wasm []byte
		kind error
		says string
	}{
		"data":           {module(section(11, "\x01\x01"+most)), plugin.ErrModule, "4294967295 bytes"},
		"elements":       {module(section(4, "\x01\x70\x00\x01"), section(9, "\x01\x00\x41\x00\x0b"+most)), plugin.ErrLimits, "4294967295 entries"},
		"custom section": {module([]byte("\x00" + most)), plugin.ErrModule, "4294967295 bytes"},
		"custom name":    {module(section(0, most)), plugin.ErrLimits, "4294967295 bytes of a name"},
		"names":          {module(section(0, "\x04name\x01\x05"+most)), plugin.ErrLimits, "4294967295 names"},
		"section":        {module([]byte("\x0a" + most)), plugin.ErrModule, "4294967295 bytes"},
		"types":          {module(section(1, most)), plugin.ErrLimits, "4294967295 types"},
		"imports":        {module(section(2, most)), plugin.ErrLimits, "4294967295 imports"},
		"functions":      {module(void, section(3, most)), plugin.ErrLimits, "4294967295 functions"},
		"globals":        {module(section(6, most)), plugin.ErrLimits, "4294967295 globals"},
		"exports":        {module(section(7, most)), plugin.ErrLimits, "4294967295 exports"},
		"name":           {module(section(7, "\x01"+most)), plugin.ErrLimits, "4294967295 bytes of a name"},
		"locals":         {module(void, function, section(10, "\x01\x08\x01"+most+"\x7f\x0b")), plugin.ErrLimits, "4294967295 locals"},
		"function":       {module(void, function, section(10, "\x01"+most)), plugin.ErrModule, "4294967295 bytes"},
		"branch table":   {module(void, function, section(10, "\x01\x08\x00\x0e"+most+"\x0b")), plugin.ErrLimits, "4294967295 targets"},
		"64-bit memory":  {module(section(5, "\x01\x05\x00\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01")), plugin.ErrFeature, "64-bit memory"},
	} {
		all = append(all, refusal(nothing, name, boundRefusal,
			func() ([]byte, error) { return c.wasm, nil }, untrusted(), c.kind, c.says))
	}
	return all
}

// bombLimits are the limits for attacks on the compiler: the default ones, except
// for the time that a test has.
func bombLimits() preflight.Limits {
	l := preflight.DefaultLimits()
	l.CompileCost /= 50
	if raced {
		l.CompileCost /= 16
		l.CompileMemory /= 16
	}
	return l
}

// pluginLimits are those of the limits that a Config sets.
func pluginLimits(l preflight.Limits) plugin.Limits {
	return plugin.Limits{Module: int64(l.Module), CompileCost: l.CompileCost, CompileMemory: l.CompileMemory}
}

// attacksOnTheCompiler are modules up to the allowed size. Those below the limits
// compile within the bounds, and those above are refused.
func attacksOnTheCompiler() (all []attack) {
	const results = 256
	wide := "\x60\x00" + vector(same(results, "\x7f")...)
	for _, b := range []struct {
		name string
		most int // more is refused, and so is twice as much
		make func(n int) []byte
	}{
		{"many functions", 1<<16 - 32, func(n int) []byte { return bomb(same(n, "\x00\x0b")...) }},
		{"one giant function", 64 << 10, func(n int) []byte { return bomb(repeated(n, "\x41\x00\x41\x00\x36\x02\x00")) }},
		{"giant functions", 1200, func(n int) []byte { return bomb(same(n, repeated(4000, "\x41\x00\x41\x00\x36\x02\x00"))...) }},
		{"deep nesting", 5000, func(n int) []byte { return bomb(nested(n)) }},
		{"deep nestings", 3600, func(n int) []byte { return bomb(same(n, nested(500))...) }},
		{"giant br_table", 20_000, func(n int) []byte { return bomb(branchTable(n)) }},
		{"giant br_tables", 2000, func(n int) []byte { return bomb(same(n, branchTable(1000))...) }},
		{"many locals", 20_000, func(n int) []byte { return bomb("\x01" + string(uleb(n)) + "\x7f\x0b") }},
		{"many locals in many functions", 2000, func(n int) []byte { return bomb(same(n, "\x01"+string(uleb(8192))+"\x7f\x0b")...) }},
		{"many types", 16_000, func(n int) []byte { return shape{Functions: 1, Types: n, TypeParams: 200}.module() }},
		{"functions and types", 60_000, func(n int) []byte { return shape{Empty: n, Types: 1000}.module() }},
		{"functions and globals", 60_000, func(n int) []byte { return shape{Empty: n, Globals: 8000}.module() }},
		{"functions behind many blocks", 60_000, func(n int) []byte {
			return shape{Functions: 1, Empty: n, Parts: []part{{Kind: "if", N: 5000}}}.module()
		}},
		{"calls and globals", 10_000, func(n int) []byte {
			return shape{Functions: 1, Globals: 8000, Parts: []part{{Kind: "call", N: n}}}.module()
		}},
		{"calls and few globals", 120_000, func(n int) []byte {
			return shape{Functions: 1, Globals: 100, Parts: []part{{Kind: "call", N: n}}}.module()
		}},
		{"calls with many arguments and results", 7200, func(n int) []byte {
			return shape{Functions: 1, Params: 256, Results: 256, Parts: []part{{Kind: "pass", N: 1, M: n}}}.module()
		}},
		{"addresses across calls", 500, func(n int) []byte {
			return shape{Functions: n, Parts: []part{{Kind: "chase", N: 1, M: 2000}, {Kind: "call", N: 10_000}}}.module()
		}},
		{"reads behind branches", 200, func(n int) []byte {
			return shape{Functions: n, Parts: []part{{Kind: "block", N: 1, Inside: []part{{Kind: "br_if", N: 1500}, {Kind: "get", N: 8000}}}}}.module()
		}},
		{"reads where branches meet", 5000, func(n int) []byte {
			return shape{Functions: 1, Locals: n, Parts: []part{{Kind: "exits", N: 1, M: 2000}, {Kind: "get", N: n}}}.module()
		}},
		{"reads in nested loops", 4000, func(n int) []byte {
			return shape{Functions: 1, Locals: 100, Parts: []part{{Kind: "deep_loops", N: 1, M: n, Inside: []part{{Kind: "get", N: 100}}}}}.module()
		}},
		{"divisions", 1000, func(n int) []byte {
			return shape{Functions: n, Parts: []part{{Kind: "ops", N: 1000, M: 40}}}.module()
		}},
		{"locals through loops", 2000, func(n int) []byte { return bomb(loopsOverLocals(n, 300)) }},
		{"locals through few loops", 16_000, func(n int) []byte { return bomb(loopsOverLocals(n, 30)) }},
		{"locals through ifs", 5000, func(n int) []byte { return bomb(ifsOverLocals(300, n)) }},
		{"addresses through ifs", 5000, func(n int) []byte { return bomb(ifsOverLocals(1, n)) }},
		{"locals through nested loops", 4000, func(n int) []byte { return bomb(nestedOverLocals(500, n)) }},
		{"operands through ifs", 5000, func(n int) []byte { return bomb(ifsOverStack(n, 300)) }},
		{"calls with many results", 60_000, func(n int) []byte {
			// Calls of the function itself, whose results the return discards.
			return guestWith("", "", "", []string{"\x00" + strings.Repeat("\x10"+string(uleb(len(contractExports))), n) + "\x00\x0b"}, wide)
		}},
		{"memory.fill", 20_000, func(n int) []byte { return bomb(repeated(n, "\x41\x00\x41\x00\x41\x00\xfc\x0b\x00")) }},
		{"memory.copy", 60_000, func(n int) []byte { return bomb(repeated(n, "\x41\x00\x41\x00\x41\x00\xfc\x0a\x00\x00")) }},
		{"indirect calls", 60_000, func(n int) []byte { return bomb(repeated(n, "\x41\x00\x11\x00\x00")) }},
		{"conversions that trap", 60_000, func(n int) []byte { return bomb(repeated(n, "\x43\x00\x00\x00\x00\xa8\x24\x00")) }},
	} {
		all = append(all, refusal(bombs, b.name+", too much", boundRefusal,
			func() ([]byte, error) { return b.make(2 * b.most), nil }, untrusted(), plugin.ErrLimits))
		all = append(all, attack{bombs, b.name + ", as much as may be", boundCompile + bombLimits().CompileMemory,
			func() ([]byte, error) { return atMost(bombLimits(), b.most, b.make), nil }, compile})
	}
	return all
}

func compile(wasm []byte) error {
	config := untrusted()
	config.Limits, config.OpenDeadline = pluginLimits(bombLimits()), 10*time.Second
	p, err := plugin.Open(ctx, wasm, config)
	switch {
	case err == nil:
		return p.Close(ctx)
	case raced && errors.Is(err, plugin.ErrLimits):
		return nil // the limits are so low here that the least of some kinds exceeds them
	}
	return err
}
