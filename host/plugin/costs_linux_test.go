package plugin_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/plugin/preflight"
)

// compileVariable names the module for the process to compile.
const (
	compileVariable        = "WADDLE_TEST_COMPILE"
	compileTrustedVariable = "WADDLE_TEST_COMPILE_TRUSTED" // if it is set, without meters
)

// compileCost is what it took a process of its own to compile a module.
type compileCost struct {
	Seconds float64 // of processors
	Memory  int64   // bytes by which the process grew at its largest
	Refused string
	Died    string // the process did
}

// unlimited lets through every readable module, to see its cost.
func unlimited() preflight.Limits {
	l := preflight.DefaultLimits()
	l.CompileCost, l.CompileMemory = math.MaxInt64, math.MaxInt64
	return l
}

// TestCompileChild is the process that measureCompile starts.
func TestCompileChild(t *testing.T) {
	name := os.Getenv(compileVariable)
	if name == "" {
		t.Skip("measureCompile starts it")
	}
	wasm, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	limitProcess(compileAddresses, compileSeconds)
	config := untrusted()
	config.Limits, config.OpenDeadline = pluginLimits(unlimited()), time.Minute
	if os.Getenv(compileTrustedVariable) != "" {
		config.Trusted, config.Deadline, config.OpenDeadline = true, 0, 0
	}
	before, resident := processorTime(), residentMemory("VmRSS")
	p, err := plugin.Open(ctx, wasm, config)
	cost := compileCost{Seconds: (processorTime() - before).Seconds(), Memory: residentMemory("VmHWM") - resident}
	if err != nil {
		cost.Refused = err.Error()
	} else if err := p.Close(ctx); err != nil {
		t.Fatal(err)
	}
	text, _ := json.Marshal(cost)
	fmt.Printf("%s%s\n", outcomePrefix, text)
}

// Limits of a process that compiles, beyond which it is ended.
const (
	compileAddresses = 5 << 30
	compileSeconds   = 60
)

// measureCompile compiles a module in a process of its own, with bounds on its
// memory and time, so that nothing but that process ends with it.
func measureCompile(wasm []byte, dir string, env ...string) compileCost {
	name := filepath.Join(dir, "module.wasm")
	if err := os.WriteFile(name, wasm, 0o600); err != nil {
		return compileCost{Died: err.Error()}
	}
	limited, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	command := []string{os.Args[0], "-test.run=^TestCompileChild$", "-test.v"}
	process := exec.CommandContext(limited, command[0], command[1:]...)
	process.Env = append(append(os.Environ(), compileVariable+"="+name), env...)
	out, err := process.Output()
	for line := range strings.Lines(string(out)) {
		if text, ok := strings.CutPrefix(line, outcomePrefix); ok {
			var cost compileCost
			if err := json.Unmarshal([]byte(text), &cost); err != nil {
				return compileCost{Died: err.Error()}
			}
			return cost
		}
	}
	var exit *exec.ExitError
	says := ""
	if errors.As(err, &exit) {
		says = string(exit.Stderr)
	}
	if len(says) > 300 {
		says = says[:300]
	}
	return compileCost{Died: fmt.Sprintf("%v: %s", err, says), Seconds: process.ProcessState.UserTime().Seconds() + process.ProcessState.SystemTime().Seconds()}
}

// unitsPerSecond is how much work a processor is assumed to do.
const unitsPerSecond = 25_000_000

// mostTimeRatio is how many times its estimate a module may take. Modules within the
// limits thus take at most a minute of one core.
var mostTimeRatio = 60 * unitsPerSecond / float64(preflight.DefaultLimits().CompileCost)

// ordinaryTime is the part of its estimated time that the module ordinary takes on
// the machine where the estimates were measured.
const ordinaryTime = 0.45

// ordinary is a module of the code that compilers make most.
var ordinary = shape{Params: 3, Locals: 8, Parts: []part{{Kind: "if", N: 60, Inside: []part{{Kind: "load", N: 3},
	{Kind: "op", N: 5, M: 37}, {Kind: "call", N: 2}, {Kind: "store", N: 2}, {Kind: "keep", N: 3}}}}}

// TestCompileCosts compiles modules that once took far more than their estimates, each
// in a process of its own. On a machine as fast as that of the measurements, by the
// module ordinary, the limits stand for less than a minute, and for no more memory
// than promised.
func TestCompileCosts(t *testing.T) {
	if testing.Short() || raced {
		t.Skip("takes a minute")
	}
	dir := t.TempDir()
	calibrate := func() float64 {
		f, ok := ordinary.try(dir)
		require.True(t, ok, f.cost)
		return f.time
	}
	usual := calibrate()
	for _, c := range costly {
		t.Run(c.name, func(t *testing.T) {
			f, ok := c.shape.try(dir)
			require.True(t, ok, f.cost)
			require.Empty(t, f.cost.Died)
			if f.time > mostTimeRatio*max(1, usual/ordinaryTime) { // or the machine has become slower meanwhile
				usual = max(usual, calibrate())
				again, _ := c.shape.try(dir)
				f.time = min(f.time, again.time)
			}
			t.Logf("%.2f of the time that is estimated, where an ordinary module takes %.2f; %.2f of the memory", f.time, usual, f.memory)
			require.Less(t, f.time, mostTimeRatio*max(1, usual/ordinaryTime))
			require.Less(t, f.memory, 1.0)
		})
	}
}
