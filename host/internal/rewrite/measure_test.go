package rewrite_test

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/waddle-sessions/waddle/host/internal/rewrite"
)

func median(d []float64) float64 {
	slices.Sort(d)
	return d[len(d)/2]
}

// low is what one round in a hundred was quicker than: others may work on the machine.
func low(d []float64) float64 {
	slices.Sort(d)
	return d[len(d)/100]
}

// TestMeasure tells what metering costs the guests of the tree.
func TestMeasure(t *testing.T) {
	if os.Getenv("WADDLE_MEASURE") == "" {
		t.Skip("set WADDLE_MEASURE=1 to measure")
	}
	runtime.LockOSThread()
	for _, name := range []string{"go", "c", "rust", "zig", "assemblyscript"} {
		if only := os.Getenv("WADDLE_ONLY"); only != "" && only != name {
			continue
		}
		wasm := module(t, byLanguage[name])
		plain, metered := openGuest(t, compiler(), wasm, rewrite.Options{}), openGuest(t, compiler(), wasm, rewrite.Options{Meter: true})
		metered.slice = hostSlice
		both := []*guest{plain, metered}
		const keys = 200
		for _, g := range both {
			for k := range keys {
				g.Set(k)
				g.Get(k)
			}
		}
		line := fmt.Sprintf("%-15s %d -> %d bytes, %+v\n   ", name, len(wasm), metered.report.SizeAfter, *metered.report)
		for _, op := range []struct {
			name string
			do   func(g *guest, k int)
		}{{"get", (*guest).Get}, {"set", (*guest).Set}, {"empty", func(g *guest, _ int) {
			g.begin()
			g.stack[0] = 64
			g.alloc.CallWithStack(ctx, g.stack[:])
		}}} {
			var before, after []float64
			for round := range 1500 {
				var took [2]float64
				for i := range 2 {
					which := i ^ round&1
					g := both[which]
					began := time.Now()
					for n := range 100 {
						op.do(g, n%keys)
					}
					took[which] = float64(time.Since(began).Nanoseconds()) / 100
				}
				before, after = append(before, took[0]), append(after, took[1])
			}
			line += fmt.Sprintf("%s %.0f -> %.0f ns, %.3f;  ", op.name, low(before), low(after), low(after)/low(before))
		}
		t.Log(line)
	}
}

// TestMeasureCompile tells what metering costs the compiler.
func TestMeasureCompile(t *testing.T) {
	if os.Getenv("WADDLE_MEASURE") == "" {
		t.Skip("set WADDLE_MEASURE=1 to measure")
	}
	for _, name := range []string{"go", "c", "rust", "assemblyscript"} {
		wasm := module(t, byLanguage[name])
		var ratios, rewriting []float64
		for round := range 7 {
			var took [2]float64
			for i := range 2 {
				which := i ^ round&1
				began := time.Now()
				w := wasm
				if which == 1 {
					w, _, _ = rewrite.Module(wasm, rewrite.Options{Meter: true})
					rewriting = append(rewriting, float64(time.Since(began)))
				}
				r := newRuntime()
				if _, err := r.CompileModule(ctx, w); err != nil {
					t.Fatal(err)
				}
				took[which] = float64(time.Since(began))
				r.Close(ctx)
			}
			ratios = append(ratios, took[1]/took[0])
		}
		t.Logf("%-15s compile %.3f, rewriting %v", name, median(ratios), time.Duration(median(rewriting)))
	}
}
