package proof_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
	"github.com/waddle-sessions/waddle/host/internal/rewrite/internal/modgen"
	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// verdict is what became of a module that may be invalid.
type verdict struct {
	tame      bool // small enough to be given to the runtime
	valid     bool // for the runtime, as it was
	rewritten bool // the rewriter took it
}

// someExports are names that many modules here export.
const someExports = "f00 f01 f02 session_get session_open nothing"

var allOptions = []rewrite.Options{{Meter: true}, {MergeData: true}, {Meter: true, MergeData: true, Entry: someExports}, {Entry: someExports}}

// examine holds the rewriter to what must be so for any bytes: it does not panic, takes
// time and memory in proportion to them, gives the same each time, keeps a valid module
// valid, and never makes one of an invalid module.
func examine(wasm []byte) (v verdict, err error) {
	if same, _, err := rewrite.Module(wasm, rewrite.Options{}); err == nil && !bytes.Equal(same, wasm) {
		return v, errors.New("without options, it is changed")
	}
	outputs := make(map[rewrite.Options][]byte)
	for _, o := range allOptions {
		out, err := rewriteOnce(wasm, o)
		if errors.Is(err, errCostly) {
			return v, fmt.Errorf("%+v: %w", o, err)
		}
		if err != nil {
			continue
		}
		if again, err := rewriteOnce(wasm, o); err != nil || !bytes.Equal(out, again) {
			return v, fmt.Errorf("%+v: it is rewritten in another way the second time", o)
		}
		if o.Meter || o.Entry != "" {
			if _, _, err := rewrite.Module(out, o); err == nil {
				return v, fmt.Errorf("%+v: what was rewritten can be rewritten again", o)
			}
		}
		outputs[o] = out
	}
	v.rewritten = len(outputs) > 0
	if v.tame = tame(wasm); !v.tame {
		return v, nil
	}
	features, allowed := api.CoreFeaturesV2, allowed(wasm)
	if allowed {
		features = guestFeatures
	}
	why := compiles(wasm, features)
	if v.valid = why == nil; errors.Is(why, errPanicked) || quirk(why) {
		return v, nil
	}
	for _, o := range allOptions {
		if v.valid && allowed && outputs[o] == nil && o.Entry == "" { // whose exports may be of any type
			return v, fmt.Errorf("%+v: the rewriter refuses what a host takes", o)
		}
	}
	for o, out := range outputs {
		switch becomes := compiles(out, features); {
		case v.valid && becomes != nil && allowed: // the runtime reads some modules that are malformed
			return v, fmt.Errorf("%+v: it becomes invalid: %w", o, becomes)
		case !v.valid && becomes == nil && (allowed || o.Meter): // what only preflight looks at has to be its own
			return v, fmt.Errorf("%+v: it becomes valid, and was not: %w", o, why)
		}
	}
	return v, nil
}

// quirk reports whether the runtime refuses a module only because of how it reads one: an
// empty custom section at the very end, behind which the rewriter has added something.
func quirk(why error) bool {
	return why != nil && strings.Contains(why.Error(), "failed to read custom section name") && strings.HasSuffix(why.Error(), "EOF")
}

// rewriteOnce rewrites a module and looks at what that takes.
func rewriteOnce(wasm []byte, o rewrite.Options) ([]byte, error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	begin := time.Now()
	out, _, err := rewrite.Module(wasm, o)
	took := time.Since(begin)
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20+1000*uint64(len(wasm)) {
		return nil, fmt.Errorf("%w: %d bytes are allocated for a module of %d", errCostly, n, len(wasm))
	}
	if took > 5*time.Second+time.Duration(len(wasm))*100*time.Microsecond {
		return nil, fmt.Errorf("%w: %s for a module of %d bytes", errCostly, took, len(wasm))
	}
	if len(out) > 1<<10+40*len(wasm) {
		return nil, fmt.Errorf("%w: a module of %d bytes becomes one of %d", errCostly, len(wasm), len(out))
	}
	return out, err
}

var errCostly = errors.New("it takes too much")

var errPanicked = errors.New("the runtime panicked")

// compiles reports what the runtime says of a module. The interpreter decodes and
// validates as the compiler does, and takes less time.
func compiles(wasm []byte, features api.CoreFeatures) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errPanicked, p)
		}
	}()
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(features))
	defer r.Close(ctx)
	_, err = r.CompileModule(ctx, wasm)
	return err
}

// tame reports whether a module can be given to the runtime, which believes the numbers
// in it: the length of a name, or a number of locals, can make it allocate all memory.
func tame(wasm []byte) bool {
	m, err := wasmbin.Parse(wasm)
	if err != nil {
		return len(wasm) < 8 || !bytes.HasPrefix(wasm, wasmbin.AppendHeader(nil)) // and it stops at once
	}
	for _, s := range m.Sections {
		r := s.Reader()
		if s.ID == wasmbin.SectionCustom {
			r.Name()
		} else if r.U32() > 1<<16 {
			return false
		}
		if r.Err != nil {
			return false
		}
	}
	for _, err := range []error{
		readable(m, wasmbin.SectionType, (*wasmbin.Reader).FuncType), readable(m, wasmbin.SectionImport, (*wasmbin.Reader).Import),
		readable(m, wasmbin.SectionFunction, (*wasmbin.Reader).Index), readable(m, wasmbin.SectionTable, (*wasmbin.Reader).Table),
		readable(m, wasmbin.SectionMemory, (*wasmbin.Reader).Memory), readable(m, wasmbin.SectionGlobal, (*wasmbin.Reader).Global),
		readable(m, wasmbin.SectionExport, (*wasmbin.Reader).Export), readable(m, wasmbin.SectionElement, (*wasmbin.Reader).Elements),
		readable(m, wasmbin.SectionData, (*wasmbin.Reader).Data),
	} {
		if err != nil {
			return false
		}
	}
	if s, r := m.Custom("name"); s != nil {
		for r.More() {
			id, content := r.Subsection()
			for n := content.Count("names"); id == wasmbin.NamesFunctions && n > 0; n-- {
				content.Naming()
			}
			if id > wasmbin.NamesFunctions || content.Err != nil {
				return false
			}
		}
	}
	bodies, err := wasmbin.Items(m, wasmbin.SectionCode, (*wasmbin.Reader).Body)
	if err != nil {
		return false
	}
	locals := uint64(0)
	for _, body := range bodies {
		r := wasmbin.NewReader(body, 0)
		for groups := r.Count("groups"); groups > 0 && r.Err == nil; groups-- {
			locals += uint64(r.Locals().Count)
		}
		if r.Err != nil || locals > 1<<17 {
			return false
		}
	}
	return true
}

func readable[T any](m *wasmbin.Module, id byte, read func(*wasmbin.Reader) T) error {
	_, err := wasmbin.Items(m, id, read)
	return err
}

// mutate changes bytes of a module, or takes some from another one.
func mutate(rng *rand.Rand, wasm, other []byte) []byte {
	out := slices.Clone(wasm)
	for range 1 + rng.IntN(4) {
		at := rng.IntN(len(out) + 1)
		switch rng.IntN(6) {
		case 0:
			if at < len(out) {
				out[at] ^= 1 << rng.IntN(8)
			}
		case 1:
			if at < len(out) {
				out[at] = byte(rng.IntN(256))
			}
		case 2:
			out = slices.Insert(out, at, byte(rng.IntN(256)))
		case 3:
			out = slices.Delete(out, at, min(at+1+rng.IntN(4), len(out)))
		case 4:
			if at < len(out) {
				out[at] += byte(rng.IntN(5)) - 2
			}
		case 5:
			from := rng.IntN(len(other))
			out = slices.Insert(out, at, other[from:min(from+1+rng.IntN(16), len(other))]...)
		}
	}
	return out
}

// mutateInside changes the content of one section or of one body, and writes the lengths
// around it anew, so that a reader gets as far as the change.
func mutateInside(rng *rand.Rand, wasm, other []byte) []byte {
	m, err := wasmbin.Parse(wasm)
	if err != nil || len(m.Sections) == 0 {
		return mutate(rng, wasm, other)
	}
	s := &m.Sections[rng.IntN(len(m.Sections))]
	if bodies, err := wasmbin.Items(m, wasmbin.SectionCode, (*wasmbin.Reader).Body); err == nil && len(bodies) > 0 && rng.IntN(3) > 0 {
		i := rng.IntN(len(bodies))
		bodies[i] = mutate(rng, bodies[i], other)
		wasmbin.SetItems(m, wasmbin.SectionCode, bodies)
	} else if len(s.Content) > 0 {
		s.Content = mutate(rng, s.Content, other)
	}
	return m.Append(nil)
}

// mutateCode changes an instruction of a function into another with operands of the same
// form, so that the module can be read.
func mutateCode(rng *rand.Rand, wasm []byte) []byte {
	m, err := wasmbin.Parse(wasm)
	if err != nil {
		return wasm
	}
	bodies, err := wasmbin.Items(m, wasmbin.SectionCode, (*wasmbin.Reader).Body)
	if err != nil || len(bodies) == 0 {
		return wasm
	}
	i := rng.IntN(len(bodies))
	w := wasmbin.NewWalker(wasmbin.NewReader(bodies[i], 0))
	for groups := w.Count("groups"); groups > 0 && w.Err == nil; groups-- {
		w.Locals()
	}
	changed := slices.Clone(bodies[i][:w.Offset()])
	for w.Begin(); w.Next(); {
		if rng.IntN(8) > 0 || w.Op == wasmbin.OpEnd {
			changed = append(changed, w.Raw()...)
			continue
		}
		switch rng.IntN(3) {
		case 0: // one that is near
			if op := w.Op + wasmbin.Opcode(rng.IntN(5)) - 2; op < wasmbin.Opcodes && op.Layout() == w.Op.Layout() && op != wasmbin.OpEnd {
				w.Op = op
			}
		case 1:
			w.First += uint32(rng.IntN(3)) - 1
		case 2:
			w.Value, w.MemOffset = rng.Int64(), uint32(rng.IntN(100))
			if w.Op.Layout() == wasmbin.LayoutBlockType {
				w.Value = rng.Int64N(4)
			}
		}
		if w.Op.Layout() == wasmbin.LayoutConst32 {
			w.Value = int64(int32(w.Value))
		}
		changed = w.Append(changed)
	}
	bodies[i] = append(changed, w.Rest()...)
	wasmbin.SetItems(m, wasmbin.SectionCode, bodies)
	return m.Append(nil)
}

// seeds are modules to change: fixtures of attacks among them, modules that were made to
// be hard, and the specification's.
func seeds(t testing.TB) [][]byte {
	t.Helper()
	var all [][]byte
	tree := modules(t, "host/plugin/testdata/*.wasm", "host/plugin/internal/mount/testdata/*.wasm", "examples/multitenant/*.wasm", "examples/guests/c/store.wasm")
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		if len(tree[name]) < 32<<10 {
			all = append(all, tree[name])
		}
	}
	for seed := range uint64(60) {
		all = append(all, modgen.New(seed, nil).Wasm)
	}
	return append(all, specSeeds(t)...)
}

// specSeeds are the smaller modules of the specification's tests, also of the features
// that no guest may use. There are none if the module cache has none.
func specSeeds(t testing.TB) (all [][]byte) {
	t.Helper()
	dir, err := specDirectory()
	if err != nil {
		return nil
	}
	files, err := filepath.Glob(filepath.Join(dir, "*", "testdata", "*.wasm"))
	require.NoError(t, err)
	for _, file := range files {
		wasm, err := os.ReadFile(file)
		require.NoError(t, err)
		if len(wasm) > 0 && len(wasm) < 2<<10 {
			all = append(all, wasm)
		}
	}
	return all
}

// TestMutants changes modules at random. WADDLE_PROOF is how long to go on.
func TestMutants(t *testing.T) {
	all := slices.DeleteFunc(seeds(t), func(wasm []byte) bool { return !tame(wasm) })
	first, until := uint64(1), time.Time{}
	if d := long(t); d > 0 {
		first, until = uint64(time.Now().UnixNano()), time.Now().Add(d)
	}
	rng := rand.New(rand.NewPCG(first, 1))
	var wild, valid, invalid, taken int
	for i := 0; i < 3000 || time.Now().Before(until); i++ {
		wasm, other := all[rng.IntN(len(all))], all[rng.IntN(len(all))]
		switch rng.IntN(4) {
		case 0:
			wasm = mutate(rng, wasm, other)
		case 1:
			wasm = mutateInside(rng, wasm, other)
		default:
			wasm = mutateCode(rng, wasm)
		}
		v, err := examine(wasm)
		require.NoError(t, err, "%x", wasm)
		switch {
		case !v.tame:
			wild++
		case v.valid:
			valid++
		default:
			if invalid++; v.rewritten {
				taken++
			}
		}
	}
	t.Logf("%d are valid, %d invalid (%d of them rewritten all the same), %d too wild for the runtime", valid, invalid, taken, wild)
	require.Greater(t, valid, 200)
	require.Greater(t, invalid, 500)
	require.Greater(t, taken, 100)
}

// TestSeedsAreTaken: all modules that were not changed are examined, too, those of the
// specification's tests among them.
func TestSeedsAreTaken(t *testing.T) {
	valid, refused := 0, 0
	for i, wasm := range seeds(t) {
		if long(t) == 0 && i > 100 && i%20 != 0 {
			continue
		}
		v, err := examine(wasm)
		require.NoError(t, err, "%x", wasm)
		if v.valid {
			if valid++; !v.rewritten {
				refused++
			}
		}
	}
	t.Logf("%d valid modules, %d of which are refused", valid, refused)
	require.Greater(t, valid, 100)
	require.Less(t, refused, valid/10)
}

// FuzzMutants does the same, led by coverage.
func FuzzMutants(f *testing.F) {
	for i, wasm := range seeds(f) {
		if i%10 == 0 {
			f.Add(wasm)
		}
	}
	f.Fuzz(func(t *testing.T, wasm []byte) {
		if len(wasm) > 64<<10 {
			return
		}
		if _, err := examine(wasm); err != nil {
			t.Fatalf("%v: %x", err, wasm)
		}
	})
}
