// Command bench compares, in one run, Waddle's session middleware with other session
// libraries, its plugin calls with those of another plugin system, and its engines that keep
// files with others that do. See README.md for the method.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/waddle-sessions/waddle/host/store"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if isWorker(os.Args) {
		out := os.Stdout
		os.Stdout = os.Stderr // what a library prints is no answer
		if err := work(ctx, os.Args[2], os.Stdin, out); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// The parts of a run.
const (
	partRequests = "requests"
	partCalls    = "calls"
	partCores    = "cores"
	partStart    = "start"
	partGuests   = "guests"
	partFiles    = "files"
	partCrowd    = "million"
	partTenants  = "tenants"
	partFairness = "fairness"
	partNetwork  = "network"
	partScale    = "scale" // only if asked for
)

// usualParts are those of a run that does not say which, in their order.
var usualParts = []string{partRequests, partCalls, partCores, partStart, partGuests, partFiles, partCrowd, partTenants, partFairness, partNetwork}

// effort is how much is measured.
type effort struct {
	plan    plan
	calls   plan
	cores   plan
	starts  int // of each engine, cold and warm
	files   filesEffort
	crowd   crowd
	tenants tenantEffort
	fair    fairnessEffort
	network networkEffort
	scale   scaleEffort
}

var (
	effortFull = effort{
		plan:  plan{rounds: 31, span: 16 * time.Millisecond},
		calls: plan{rounds: 41, span: 16 * time.Millisecond},
		cores: plan{rounds: 21, span: 32 * time.Millisecond}, starts: 7,
		files: filesEffort{
			unsynced: plan{rounds: 11, span: 16 * time.Millisecond},
			synced:   plan{rounds: 11, span: 32 * time.Millisecond},
			second:   plan{rounds: 3, span: time.Second},
			requests: plan{rounds: 11, span: 16 * time.Millisecond},
			crowd:    crowd{records: targetCrowd, slices: 2, span: 2 * time.Second},
		},
		crowd: crowd{records: targetCrowd, slices: 5, span: 2 * time.Second},
		tenants: tenantEffort{counts: []int{1000, targetTenants}, own: 1000, sessions: 10, requests: 100, awake: 256, traffic: 200_000,
			plan: plan{rounds: 41, span: 16 * time.Millisecond}},
		fair:    fairnessEffort{rounds: 15, span: 2 * time.Second},
		network: networkEffort{rounds: 9, span: 400 * time.Millisecond, callers: []int{1, 16, targetNetworkCallers}, starts: 5},
		scale:   scaleFull,
	}
	effortQuick = effort{
		plan:  plan{rounds: 7, span: 5 * time.Millisecond},
		calls: plan{rounds: 11, span: 5 * time.Millisecond},
		cores: plan{rounds: 5, span: 10 * time.Millisecond}, starts: 1,
		files: filesEffort{
			unsynced: plan{rounds: 7, span: 5 * time.Millisecond},
			synced:   plan{rounds: 7, span: 10 * time.Millisecond},
			second:   plan{rounds: 1, span: 500 * time.Millisecond},
			requests: plan{rounds: 7, span: 5 * time.Millisecond},
			crowd:    crowd{records: targetCrowd / 10, slices: 2, span: 300 * time.Millisecond},
		},
		crowd: crowd{records: targetCrowd / 10, slices: 2, span: 300 * time.Millisecond},
		tenants: tenantEffort{counts: []int{100}, own: 100, sessions: 10, requests: 20, awake: 16, traffic: 5000,
			plan: plan{rounds: 11, span: 5 * time.Millisecond}},
		fair:    fairnessEffort{rounds: 3, span: time.Second},
		network: networkEffort{rounds: 3, span: 100 * time.Millisecond, callers: []int{1, 16}, starts: 1},
		scale:   scaleQuick,
	}
)

// run does what the arguments say. Missed targets are reported, but are not an error.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(out)
	jsonFile := flags.String("json", "", "write the results to this `file`, as JSON")
	textFile := flags.String("benchstat", "", "write every round to this `file`, in the format that benchstat compares; with -against NAME.txt, every turn to NAME-this.txt and NAME-other.txt")
	quick := flags.Bool("quick", false, "a quick run of some seconds, too rough to judge by")
	only := flags.String("only", "", "comma-separated `parts` to run, of: "+strings.Join(usualParts, ", ")+" (default all of these), "+partScale)
	guests := flags.String("guests", filepath.Join("..", "..", "examples", "guests"), "the `directory` with one folder per language, each with a store.wasm, for the parts guests and tenants")
	page := flags.String("page", "SCALE.md", "the page of curves, a `file`, into which the part scale puts what it finds")
	dir := flags.String("dir", "", "the `directory` for the files of the part files, on a disk (default the temporary directory, or another if that is in memory)")
	against := flags.String("against", "", "compare this state of the repository with another: the `directory` of its checkout")
	turns := flags.Int("turns", 5, "how often each state is measured for -against")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	parts, err := chooseParts(*only)
	if err != nil {
		return err
	}
	if *against != "" {
		return runAgainst(ctx, *against, comparison{parts: *only, turns: *turns, quick: *quick, rounds: strings.TrimSuffix(*textFile, ".txt")}, table{out})
	}
	e := effortFull
	if *quick {
		e = effortQuick
	}
	r, err := measureAll(ctx, e, parts, places{files: *dir, guests: *guests, page: *page}, table{out})
	if err != nil {
		return err
	}
	r.Quick = *quick
	if *textFile != "" {
		if err := r.writeRounds(*textFile); err != nil {
			return err
		}
	}
	if *jsonFile != "" {
		return r.write(*jsonFile)
	}
	return nil
}

// places are directories.
type places struct {
	files  string // see scratchDir
	guests string // see findGuests
	page   string // a file, see writeScale
}

// measureAll runs the parts and prints each as soon as it is done.
func measureAll(ctx context.Context, e effort, parts map[string]bool, where places, t table) (*report, error) {
	r := &report{Time: time.Now().UTC().Truncate(time.Second), Machine: thisMachine(), Versions: versions(), Notes: map[string]string{}}
	t.head(r)
	storeCalls := 0
	if parts[partRequests] {
		var err error
		if storeCalls, err = countStoreCalls(ctx, opUnused, 100); err != nil {
			return nil, err
		}
		cores := []int{1}
		if r.Machine.Cores > 1 {
			cores = append(cores, r.Machine.Cores)
		}
		all, err := runRequests(ctx, e.plan, cores)
		if err != nil {
			return nil, err
		}
		r.Requests = r.keep(partRequests, all).rows(nameNative, nameWasm)
		for _, p := range peers() {
			if p.note != "" {
				r.Notes[p.name] = p.note
			}
		}
		t.requests(r.Requests, r.Machine.Cores)
		t.notes(r.Notes)
	}
	if parts[partCalls] {
		all, err := runCalls(ctx, e.calls)
		if err != nil {
			return nil, err
		}
		r.Calls = r.keep(partCalls, all).rows(nameWasmCall, nameBoltCall)
		t.calls(r.Calls)
	}
	if parts[partCores] {
		all, err := runCores(ctx, e.cores)
		if err != nil {
			return nil, err
		}
		r.Cores = r.keep(partCores, all).rows()
		t.cores(r.Cores)
	}
	if parts[partStart] {
		var err error
		if r.Starts, err = runStarts(ctx, e.starts); err != nil {
			return nil, err
		}
		t.starts(r.Starts)
	}
	if parts[partGuests] {
		var err error
		if r.Guests, err = runGuests(ctx, where.guests, e.calls); err != nil {
			return nil, err
		}
		r.keep(partGuests, r.Guests.rounds)
		t.guests(r.Guests)
	}
	if parts[partFiles] {
		var err error
		if r.Files, err = runFiles(ctx, e.files, where.files); err != nil {
			return nil, err
		}
		r.keep(partFiles, r.Files.rounds)
		notes := map[string]string{}
		for _, p := range filePeers(fileEngines) {
			if p.note != "" {
				notes[p.name] = p.note
			}
		}
		t.files(r.Files)
		t.notes(notes)
		r.FileNotes = notes
	}
	if parts[partCrowd] {
		var err error
		if r.Crowd, err = runCrowds(ctx, e.crowd); err != nil {
			return nil, err
		}
		t.crowd(r.Crowd)
	}
	if parts[partTenants] {
		var err error
		if r.Tenants, err = runTenants(ctx, where.guests, e.tenants); err != nil {
			return nil, err
		}
		t.tenants(r.Tenants)
	}
	if parts[partFairness] {
		var err error
		if r.Fairness, err = runFairness(ctx, e.fair); err != nil {
			return nil, err
		}
		t.fairness(r.Fairness)
	}
	if parts[partNetwork] {
		var err error
		if r.Network, err = runNetwork(ctx, e.network); err != nil {
			return nil, err
		}
		t.network(r.Network)
	}
	if parts[partScale] {
		var err error
		if r.Scale, err = runScale(ctx, e.scale); err != nil {
			return nil, err
		}
		if err := writeScale(where.page, r.Machine, r.Scale); err != nil {
			return nil, err
		}
		t.line("\nthe curves are in %s", where.page)
	}
	r.Targets = judge(r, storeCalls)
	t.targets(r.Targets)
	return r, nil
}

func chooseParts(only string) (map[string]bool, error) {
	chosen := map[string]bool{}
	if only == "" {
		only = strings.Join(usualParts, ",")
	}
	for name := range strings.SplitSeq(only, ",") {
		if name != partScale && !slices.Contains(usualParts, name) {
			return nil, fmt.Errorf("-only %s: there is no part %q: must be of %s", only, name, strings.Join(append(usualParts, partScale), ", "))
		}
		chosen[name] = true
	}
	return chosen, nil
}

// runCrowds loads the engine and then, for scale, the native store. They run one after the
// other: the native store's records are on the heap, and nothing else should be measured while
// the collector scans them.
func runCrowds(ctx context.Context, c crowd) ([]crowdResult, error) {
	engine, err := openEngine(ctx, engineCrowd)
	if err != nil {
		return nil, err
	}
	defer engine.Close(ctx)
	wasm, err := runCrowd(ctx, nameWasm, engine, func() int64 { return engine.Stats().Memory }, c)
	if err != nil {
		return nil, err
	}
	if err := engine.Close(ctx); err != nil {
		return nil, err
	}
	runtime.GC()
	heap := heapMeter()
	memory := store.NewMemory()
	defer memory.Close(ctx)
	native, err := runCrowd(ctx, nameNative, memory, heap, c)
	if err != nil {
		return nil, err
	}
	return []crowdResult{wasm, native}, nil
}
