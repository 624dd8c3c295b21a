package storetest

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

// Now is the time at which every check begins, in Unix milliseconds: the
// beginning of 2026. If a store has a clock of its own for background work,
// give it one that starts here.
const Now store.Millis = 1_767_225_600_000

// Setup says what kind of store a check needs.
type Setup struct {
	// Shards is a number of shards, for a store that has shards. 0 means the
	// target's own choice.
	Shards int

	// Dir is an existing directory for this store alone. When a durable store
	// is opened again with the same Dir, it finds what was saved.
	Dir string

	// MemoryLimit is how many bytes the store may take, if it can be limited. 0
	// means the target's own choice.
	MemoryLimit int64

	// Namespace is where a store keeps its records in a backend that others use
	// too: up to 20 lower-case letters and digits, the first one a letter. Each
	// store that a check opens has another, and no check opens two of which one
	// begins with the other. Stores with one Namespace have the same records. A
	// store without a backend may ignore it.
	Namespace string
}

// Open opens a store. The store is empty, unless Dir or Namespace was opened before.
type Open func(ctx context.Context, setup Setup) (store.Store, error)

// Options say how a suite is run. The zero value is ready to use.
type Options struct {
	// Target is what the report calls the store. "" means its type.
	Target string

	// Durable says that a store that is opened again with the same Dir finds
	// what was saved.
	Durable bool

	// Shared says that the records lie in a backend that several hosts share:
	// stores that are opened with the same Namespace and are open at the same time
	// have the same records, each with a Dir of its own. The checks of the group
	// "shared" open several.
	Shared bool

	// MaxKey and MaxValue are the largest key and value in bytes that the store
	// takes. 0 means abi.MaxKey and abi.MaxValue.
	MaxKey, MaxValue int

	// Records and Bytes are how many small records, and how many bytes of
	// values, the store holds at once before it evicts or answers NO_SPACE.
	// Checks ask for no more. 0 means that the suite finds out, by filling a
	// store as far as the checks would. Every store is asked for at least 16
	// records and 32 KiB.
	Records, Bytes int

	// Soak is the number of operations of the soak. 0 means 100,000.
	Soak int

	// Sequences is the number of random sequences of operations that are
	// compared with the model. 0 means 100.
	Sequences int

	// Seed is the seed of everything random. 0 means a random one, which the
	// report names.
	Seed uint64

	// Only and Skip choose checks by name, with patterns of [path.Match]; the
	// name of a group stands for all of its checks. If a pattern matches no
	// check, nothing is run, and the report has a Misuse.
	Only, Skip []string

	// Dir is where directories for the stores are made and removed. "" means
	// the temporary directory.
	Dir string

	// Explain adds to what a report says about an error that a store answered;
	// "" adds nothing. It may be nil.
	Explain func(error) string

	// Progress is told how far the suite is: once per check, and in long ones
	// from time to time. It may be nil.
	Progress func(Progress)

	// More are checks in addition to those of the suite. They run first. A
	// check with the name of one of the suite replaces that one.
	More []Test
}

// Progress is how far a suite is.
type Progress struct {
	Check       string // the name of the running check
	Number, Of  int    // its number, from 1, and the total
	Done, Total int    // operations of a long check; 0 for others
}

// Test is one check.
type Test struct {
	// Name is group/name.
	Name string
	// Section is the heading in abi/SPEC.md that the check is about.
	Section string
	// Requires is what that section requires, in a sentence.
	Requires string
	// Run runs the check. It must not leave goroutines behind that use the
	// probe.
	Run func(*Probe)

	needs need
}

// Tests returns the checks of the suite in the order in which they run.
func Tests() []Test {
	var all []Test
	for _, group := range groups() {
		all = append(all, group...)
	}
	// One group may come from several lists.
	first := make(map[string]int)
	for i, t := range all {
		if _, seen := first[groupOf(t.Name)]; !seen {
			first[groupOf(t.Name)] = i
		}
	}
	slices.SortStableFunc(all, func(a, b Test) int { return first[groupOf(a.Name)] - first[groupOf(b.Name)] })
	return all
}

// withDefaults replaces the zero values of sizes, numbers and limits.
func (o Options) withDefaults() Options {
	o.MaxKey = min(cmp.Or(o.MaxKey, abi.MaxKey), abi.MaxKey)
	o.MaxValue = min(cmp.Or(o.MaxValue, abi.MaxValue), abi.MaxValue)
	o.Soak = cmp.Or(o.Soak, 100_000)
	o.Sequences = cmp.Or(o.Sequences, 100)
	return o
}

// Run checks the stores that open opens against the contract, in subtests with
// the names of the checks. At most one Options may be given.
func Run(t *testing.T, open Open, options ...Options) {
	t.Helper()
	var o Options
	if len(options) > 0 {
		o = options[0]
	}
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	run(t.Context(), open, o, func(name string, result func() Result) {
		t.Run(name, func(t *testing.T) {
			switch r := result(); r.Status {
			case Skip:
				t.Skip(r.Reason)
			case Fail:
				if name == misuse {
					t.Fatal(r.Failure.Found)
				}
				var b strings.Builder
				_ = r.writeText(&b)
				t.Error("\n" + b.String())
			}
		})
	})
}

// Check checks the stores that open opens against the contract. Cancelling ctx
// ends it early: the remaining checks count as skipped.
func Check(ctx context.Context, open Open, options Options) *Report {
	return run(ctx, open, options, nil)
}
