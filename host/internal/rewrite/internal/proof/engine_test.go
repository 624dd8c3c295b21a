package proof_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"hash/maphash"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
)

// guestFeatures are those that a host allows.
const guestFeatures = api.CoreFeaturesV2 &^ api.CoreFeatureReferenceTypes

// engines are both ways in which the runtime executes code.
var engines = map[string]func() wazero.RuntimeConfig{
	"compiler":    wazero.NewRuntimeConfigCompiler,
	"interpreter": wazero.NewRuntimeConfigInterpreter,
}

// Why a call of a metered module ended.
var (
	errFuel  = errors.New("the fuel is used up")
	errDepth = errors.New("calls are nested too deeply")
)

// meter is the host's part of metering: it grants fuel in slices up to a budget.
type meter struct {
	budget, slice int64
	depth         int64 // bytes of stack that a call may take; the start function has the module's own
	used          int64 // fuel, up to the last hook or the end of the last call

	granted int64
	hooks   int
	seen    api.Module // by the hook
	fault   error      // a hook that was called without reason
}

type meterKey struct{}

// with returns a context for calls that the meter counts.
func (m *meter) with(ctx context.Context) context.Context {
	return context.WithValue(ctx, meterKey{}, m)
}

// begin is called before a call, end after it.
func (m *meter) begin(mod api.Module) {
	m.grant(mod, m.granted-m.used)
	counter(mod, rewrite.DepthExport).Set(uint64(m.depth))
}

// end may follow a start function that has failed, so that there is no module.
func (m *meter) end(mod api.Module) {
	if mod == nil {
		mod = m.seen
	}
	if mod == nil {
		return
	}
	m.used = m.granted - int64(counter(mod, rewrite.FuelExport).Get())
}

// grant gives the next slice to a counter that stands at left.
func (m *meter) grant(mod api.Module, left int64) {
	slice := min(m.slice, m.budget-m.granted)
	m.granted += slice
	counter(mod, rewrite.FuelExport).Set(uint64(left + slice))
}

func counter(mod api.Module, name string) api.MutableGlobal {
	return mod.ExportedGlobal(name).(api.MutableGlobal)
}

// hook is called by the module. It panics to end the call.
func (m *meter) hook(mod api.Module) {
	m.seen = mod
	m.hooks++
	left := int64(counter(mod, rewrite.FuelExport).Get())
	m.used = m.granted - left
	if int64(counter(mod, rewrite.DepthExport).Get()) < 0 {
		panic(errDepth)
	}
	if m.used > m.budget {
		panic(errFuel)
	}
	if left >= 0 {
		m.fault = fmt.Errorf("hook %d was called with %d of fuel left", m.hooks, left)
	}
	m.grant(mod, left)
}

// hooked makes a context for compiling, in which the function with that number calls the
// meter of the call's context.
func hooked(ctx context.Context, hook uint32) context.Context {
	return experimental.WithFunctionListenerFactory(ctx, experimental.FunctionListenerFactoryFunc(
		func(f api.FunctionDefinition) experimental.FunctionListener {
			if f.Index() != hook {
				return nil
			}
			return experimental.FunctionListenerFunc(func(ctx context.Context, mod api.Module, _ api.FunctionDefinition, _ []uint64, _ experimental.StackIterator) {
				ctx.Value(meterKey{}).(*meter).hook(mod)
			})
		}))
}

var wasmError = regexp.MustCompile(`wasm error: ([^\n]*)`)

// reason is what ended a call, in the words of package interp, or all of what it says.
func reason(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, errFuel):
		return errFuel.Error()
	case errors.Is(err, errDepth):
		return errDepth.Error()
	}
	if m := wasmError.FindStringSubmatch(err.Error()); m != nil {
		return m[1]
	}
	if strings.Contains(err.Error(), "out of bounds memory access") { // when segments are written
		return "out of bounds memory access"
	}
	return err.Error()
}

// long is how long a test should go on that could go on for ever, from WADDLE_PROOF, such
// as 10m. Tests then also do what takes too long otherwise.
func long(t testing.TB) time.Duration {
	t.Helper()
	s := os.Getenv("WADDLE_PROOF")
	if s == "" {
		return 0
	}
	d, err := time.ParseDuration(s)
	require.NoError(t, err, "WADDLE_PROOF is %q: must be a duration, such as 10m", s)
	return d
}

// trace is the list of functions that were running when a call trapped. An instruction
// that is done by an added function has one more line, which is left out.
func trace(err error) string {
	if err == nil || errors.Is(err, errFuel) || errors.Is(err, errDepth) {
		return ""
	}
	_, list, _ := strings.Cut(err.Error(), "wasm stack trace:")
	return doneByAdded.ReplaceAllString(list, "")
}

// doneByAdded is what the functions look like that copy and fill memory in parts. A
// guest's own function with such parameters is left out of both traces alike.
var doneByAdded = regexp.MustCompile(`^\n\t\.(\$\d+|memory\.copy|memory\.fill)\(i32,i32,i32\)`)

var hashSeed = maphash.MakeSeed()

// hash tells contents apart.
func hash(b []byte) uint64 { return maphash.Bytes(hashSeed, b) }

// mixed is a number that depends on all of b, and is the same in each process.
func mixed(b []byte) uint64 {
	h := fnv.New64a()
	h.Write(b)
	return h.Sum64()
}

// rewritten is a module after the rewriter, which takes it.
func rewritten(t testing.TB, wasm []byte, o rewrite.Options) ([]byte, *rewrite.Report) {
	t.Helper()
	before := hash(wasm)
	out, report, err := rewrite.Module(wasm, o)
	require.NoError(t, err)
	require.Equal(t, before, hash(wasm), "the rewriter has changed its input")
	return out, report
}

func config(engine string, features api.CoreFeatures, pages uint32) wazero.RuntimeConfig {
	return engines[engine]().WithCoreFeatures(features).WithMemoryLimitPages(pages).WithDebugInfoEnabled(false)
}
