package adapttest

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Checks of a behaviour that does not work often wait for an event that never comes.
// Patience is for those of a framework that should have it, however slow the machine is.
const (
	patience     = 2 * time.Minute
	lessPatience = 3 * time.Second
)

// Run tests a framework: first what each must do, then the behaviours. It compares
// the results with testdata/table.txt, or writes that file with -update.
func Run(t *testing.T, f Framework) {
	t.Helper()
	for b := range f.No {
		require.Contains(t, Behaviours, b, "the framework's No has a behaviour that does not exist")
	}
	works := make(map[Behaviour]bool)
	var mu sync.Mutex
	t.Run("suite", func(t *testing.T) {
		for _, c := range basics {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				c.check(newBench(t, t, f, patience))
			})
		}
		for _, b := range Behaviours {
			t.Run(string(b), func(t *testing.T) {
				t.Parallel()
				ok := runBehaviour(t, f, b)
				mu.Lock()
				defer mu.Unlock()
				works[b] = ok
			})
		}
	})
	// With -run, only some behaviours were tried.
	if len(works) == len(Behaviours) && !t.Failed() {
		compareTable(t, f, works)
	}
}

// runBehaviour reports whether a behaviour works, and fails the test if that is not
// what the framework says.
func runBehaviour(t *testing.T, f Framework, b Behaviour) (works bool) {
	why, declared := f.No[b]
	if !declared {
		checks[b](newBench(t, t, f, patience))
		return !t.Failed()
	}
	require.NotEmpty(t, why, "the framework says that %s does not work: it must say why", b)
	failure := attempt(func(a require.TestingT) { checks[b](newBench(t, a, f, lessPatience)) })
	require.NotEmpty(t, failure, "found that %s works, want what No says: it does not, because %s", b, why)
	t.Logf("%s does not work, as No says: %s", b, failure)
	return false
}

// attempt runs checks that may fail, and returns the first failure.
func attempt(checks func(require.TestingT)) (failure string) {
	a := new(attemptT)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if r := recover(); r != nil {
				a.Errorf("panic: %v\n%s", r, debug.Stack())
			}
		}()
		checks(a)
	}()
	<-done
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.failure
}

// attemptT notes failures that do not fail a test.
type attemptT struct {
	mu      sync.Mutex
	failure string
}

func (a *attemptT) Errorf(format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failure == "" {
		a.failure = strings.TrimSpace(fmt.Sprintf(format, args...))
	}
}

// FailNow ends the checks, whose goroutine this is.
func (a *attemptT) FailNow() { runtime.Goexit() }
