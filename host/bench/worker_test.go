package main

import (
	"context"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The tests' program is its own worker, as the benchmark's is.
func TestMain(m *testing.M) {
	stands["panic"] = func(context.Context, assignment) (*stand, error) { panic("on purpose") }
	stands["machine"] = func(context.Context, assignment) (*stand, error) {
		m := thisMachine()
		return &stand{close: func() error { return nil }, facts: map[string]float64{"gogc": float64(m.Collector), "gomemlimit": float64(m.MemoryLimit)}}, nil
	}
	if isWorker(os.Args) {
		main()
		return
	}
	os.Exit(m.Run())
}

// A batch is run in the worker's process, and what it takes there is what counts.
func TestWorkerMeasuresItsOwnProcess(t *testing.T) {
	w, err := hire(t.Context(), assignment{Part: partCalls, Subject: nameNativeCall})
	require.NoError(t, err)
	require.Len(t, w.cells, 2)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	n, used, err := w.cells[0].sample(20_000, 0)
	runtime.ReadMemStats(&after)
	require.NoError(t, err)
	require.Equal(t, 20_000, n)
	require.Positive(t, used.Took)
	require.InDelta(t, 1, float64(used.Mallocs)/float64(n), 0.05, "a get returns a copy")
	require.Greater(t, used.Bytes, uint64(n*valueSize))
	require.Less(t, after.Mallocs-before.Mallocs, uint64(n/10), "nothing of it happens here")
	n, used, err = w.cells[1].sample(0, time.Millisecond)
	require.NoError(t, err)
	require.GreaterOrEqual(t, n, portion)
	require.GreaterOrEqual(t, used.Took, time.Millisecond)
	require.NoError(t, w.verify())
	require.NoError(t, w.close())
	require.NoError(t, w.close())
	_, _, err = w.cells[0].sample(1, 0)
	require.ErrorContains(t, err, nameNativeCall+": the process that measures it does not answer")
}

func TestWorkersThatFail(t *testing.T) {
	for _, c := range []struct {
		name     string
		assigned assignment
		want     []string
	}{
		{"cannot start", assignment{Part: partRequests, Subject: "nobody"}, []string{`nobody: there is no peer "nobody"`}},
		{"has no part", assignment{Part: "breakfast", Subject: "tea"}, []string{"tea: the process that measures it ended with exit status 1", `nothing for the part "breakfast"`}},
		{"dies", assignment{Part: "panic", Subject: "dies"}, []string{"dies: the process that measures it ended with exit status 2", "panic: on purpose", "worker_test.go"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := gather(t.Context(), []assignment{{Part: partRequests, Subject: nameControl, Cores: []int{1}}, c.assigned})
			for _, want := range c.want {
				require.ErrorContains(t, err, want)
			}
		})
	}
}

// A worker that dies at work is told apart from one that finds a fault.
func TestWorkerDiesAtWork(t *testing.T) {
	w, err := hire(t.Context(), assignment{Part: partRequests, Subject: nameControl, Cores: []int{1}})
	require.NoError(t, err)
	require.NoError(t, w.cmd.Process.Kill())
	_, err = measure(w.cells, plan{rounds: 3, span: time.Millisecond})
	require.ErrorContains(t, err, nameControl+": the process that measures it ended with signal: killed")
	require.ErrorContains(t, w.verify(), "killed")
}

// Of a worker that says much the end is kept.
func TestTail(t *testing.T) {
	var said tail
	n, err := io.Copy(&said, strings.NewReader(strings.Repeat("x", 3*tailSize)+"the end"))
	require.NoError(t, err)
	require.EqualValues(t, 3*tailSize+7, n)
	require.Len(t, said.String(), tailSize)
	require.True(t, strings.HasSuffix(said.String(), "xthe end"))
}

// Workers end with the one that hired them, and with its context.
func TestWorkerEndsWithItsContext(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	w, err := hire(ctx, assignment{Part: partRequests, Subject: nameControl, Cores: []int{1}})
	require.NoError(t, err)
	stop()
	require.Error(t, w.close())
	require.NotNil(t, w.cmd.ProcessState)
}

// A fault that a subject notes while it is measured reaches the one that ordered it.
func TestFaultsReachTheParent(t *testing.T) {
	s := &stand{verify: func() error { return os.ErrInvalid }}
	require.Equal(t, answer{Fault: "invalid argument"}, s.obey(order{}))
}
