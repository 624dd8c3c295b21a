package plugin_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

const (
	attackedVariable = "WADDLE_TEST_ATTACKED"
	outcomePrefix    = "outcome "
)

// outcome is the result of an attack.
type outcome struct {
	Kind, Name string
	Wrong      string // what the host did wrong
	Neighbour  string // what another plugin noticed
	Size       int    // bytes of the module
	Grown      int64  // bytes by which the process grew at its largest
	Most       int64
	Left       int64 // bytes of the Go heap that are not released
	Took       time.Duration
}

// TestHostile tries every attack in a process of its own, beside another plugin
// that serves all the while. The host returns a readable error of the right kind
// and keeps its memory within the bounds, and the other plugin notices nothing.
func TestHostile(t *testing.T) {
	if os.Getenv(attackedVariable) != "" {
		t.Skip("this is the process that is attacked")
	}
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	limited, cancel := context.WithTimeout(ctx, 20*time.Minute)
	defer cancel()
	process := exec.CommandContext(limited, os.Args[0], "-test.run=^TestAttacked$", "-test.v", "-test.timeout=20m")
	process.Env = append(os.Environ(), attackedVariable+"=1")
	out, err := process.CombinedOutput()
	require.NoError(t, err, "the process did not survive: %s", out)

	outcomes := make(map[string]outcome)
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), outcomePrefix); ok {
			var o outcome
			require.NoError(t, json.Unmarshal([]byte(text), &o))
			outcomes[o.Kind+"/"+o.Name] = o
		}
	}
	all := attacks()
	for _, kind := range attackKinds {
		t.Run(kind, func(t *testing.T) {
			tried := 0
			for _, a := range all {
				if a.kind != kind {
					continue
				}
				tried++
				t.Run(a.name, func(t *testing.T) {
					o, ok := outcomes[a.kind+"/"+a.name]
					require.True(t, ok, "it was not tried")
					require.Empty(t, o.Wrong)
					require.Empty(t, o.Neighbour)
					if !raced {
						require.LessOrEqual(t, o.Grown, o.Most, "bytes that the process grew by")
					}
					require.LessOrEqual(t, o.Left, int64(2<<20), "bytes of the Go heap that stayed")
					t.Logf("%d bytes: %v, %d MiB of at most %d", o.Size, o.Took.Round(time.Millisecond), o.Grown>>20, o.Most>>20)
				})
			}
			require.Positive(t, tried)
		})
	}
	require.Len(t, outcomes, len(all), "every name is there once")
}

// TestAttacked is the process that TestHostile starts.
func TestAttacked(t *testing.T) {
	if os.Getenv(attackedVariable) == "" {
		t.Skip("TestHostile starts it")
	}
	n, err := newNeighbour()
	require.NoError(t, err)
	defer n.close()
	for _, a := range attacks() {
		o := try(a, n)
		text, err := json.Marshal(o)
		require.NoError(t, err)
		fmt.Printf("%s%s\n", outcomePrefix, text)
	}
}

func try(a attack, n *neighbour) outcome {
	o := outcome{Kind: a.kind, Name: a.name}
	wasm, err := a.wasm()
	if err != nil {
		o.Wrong = err.Error()
		return o
	}
	o.Size, o.Most = len(wasm), a.most
	debug.FreeOSMemory()
	heap := heapInUse()
	resetPeak()
	before := residentMemory("VmRSS")
	served := n.served.Load()
	start := time.Now()
	if err := a.try(wasm); err != nil {
		o.Wrong = err.Error()
	}
	o.Took = time.Since(start)
	o.Grown = residentMemory("VmHWM") - before
	o.Neighbour = n.complaint(served)
	o.Left = heapInUse() - heap
	runtime.KeepAlive(wasm)
	if shared := plugin.SharedCode(); shared != 1 && o.Wrong == "" {
		o.Wrong = fmt.Sprintf("found code of %d modules, want only the neighbour's", shared)
	}
	return o
}

// neighbour is a plugin that the test writes and reads without a pause.
type neighbour struct {
	plugin *plugin.Plugin
	served atomic.Int64
	stop   context.CancelFunc
	wait   sync.WaitGroup

	mu  sync.Mutex
	err error // the first
}

func newNeighbour() (*neighbour, error) {
	wasm, err := fixture("store")()
	if err != nil {
		return nil, err
	}
	p, err := plugin.Open(ctx, wasm, quiet())
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(ctx)
	n := &neighbour{plugin: p, stop: stop}
	n.wait.Go(func() {
		for i := uint64(1); running.Err() == nil; i++ {
			if err := n.serve(i); err != nil {
				n.mu.Lock()
				n.err = errors.Join(n.err, err)
				n.mu.Unlock()
				return
			}
			n.served.Add(1)
			time.Sleep(100 * time.Microsecond)
		}
	})
	return n, nil
}

func (n *neighbour) serve(i uint64) error {
	k, want := fmt.Append(nil, "key", i%50), value(i, "v")
	if err := n.plugin.Set(ctx, store.Write{Key: k, Value: want, Now: 1}); err != nil {
		return err
	}
	got, err := n.plugin.Get(ctx, k, 1)
	if err == nil && !bytes.Equal(got, want) {
		err = fmt.Errorf("%q was stored and %q is there", want, got)
	}
	return err
}

// complaint returns what went wrong after the given number of operations, or that
// there are no further ones.
func (n *neighbour) complaint(served int64) string {
	for began := time.Now(); time.Since(began) < 10*time.Second; time.Sleep(time.Millisecond) {
		n.mu.Lock()
		err := n.err
		n.mu.Unlock()
		if err != nil {
			return err.Error()
		}
		if n.served.Load() > served+1 {
			if restarts := n.plugin.Stats().Restarts; restarts != 0 {
				return fmt.Sprintf("%d restarts", restarts)
			}
			return ""
		}
	}
	return "it serves no longer"
}

func (n *neighbour) close() {
	n.stop()
	n.wait.Wait()
	_ = n.plugin.Close(ctx)
}

func heapInUse() int64 {
	var m runtime.MemStats
	for range 5 { // finalizers and pools need more than one
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// resetPeak starts a new measurement of the largest size of the process. Only Linux
// can measure it.
func resetPeak() { _ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) }

// residentMemory reads a size of the process in bytes, 0 if it is not known.
func residentMemory(which string) (bytes int64) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, which+":"); ok {
			var kilobytes int64
			_, _ = fmt.Sscan(rest, &kilobytes)
			return kilobytes << 10
		}
	}
	return 0
}
