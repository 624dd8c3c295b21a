package plugin_test

import (
	"errors"
	"fmt"
	"iter"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// Actions of the guest of hostile.wat, by the time that it is told.
const (
	actWork store.Millis = iota
	actTrap
	actLoop
	actRecurse
	actDivide
	actBeyond
	actOverflow
	actOneByteBeyond
	actTooLong
	actExit
	actGrow
	actUnknownCode
	actLogFlood
	actRandomFlood
	actLogBeyond
	actFailBeyond
	actMessage
	actWriteAndTrap
	actRecurseWide
	actSleep
	actEmptyTable
	actExitZero
	actWriteFlood
	actPollFlood
	actRandomStraight
	actLogOverflow
	actFailBeyondMemory
	actWasiBeyond
	actCursorEndless    = 30
	actCursorNegative   = 31
	actKeyCut           = 32
	actKeyEmpty         = 33
	actChunkShort       = 34
	actCursorsAlternate = 35
	actCode             = 1000 // + n answers code -n
)

var key = []byte("key")

// operations are all calls that a guest can get, given an action.
var operations = map[string]func(p *plugin.Plugin, act store.Millis) error{
	"get":      func(p *plugin.Plugin, act store.Millis) error { _, err := p.Get(ctx, key, act); return err },
	"set":      func(p *plugin.Plugin, act store.Millis) error { return p.Set(ctx, store.Write{Key: key, Now: act}) },
	"delete":   func(p *plugin.Plugin, act store.Millis) error { return p.Delete(ctx, key, act) },
	"clear":    func(p *plugin.Plugin, act store.Millis) error { return p.Clear(ctx, act) },
	"save":     func(p *plugin.Plugin, act store.Millis) error { return p.Save(ctx, act) },
	"touch":    func(p *plugin.Plugin, act store.Millis) error { return p.Touch(ctx, key, 1<<40, act) },
	"sweep":    func(p *plugin.Plugin, act store.Millis) error { _, err := p.Sweep(ctx, 10, act); return err },
	"keys":     func(p *plugin.Plugin, act store.Millis) error { return last(p.Keys(ctx, act)) },
	"snapshot": func(p *plugin.Plugin, act store.Millis) error { return last(p.Snapshot(ctx, act)) },
	"restore": func(p *plugin.Plugin, act store.Millis) error {
		return p.Restore(ctx, func(yield func(store.Record, error) bool) {
			yield(store.Record{Key: key}, nil)
		}, act)
	},
}

func last[T any](seq iter.Seq2[T, error]) (err error) {
	for _, err = range seq {
	}
	return err
}

// hostile opens the hostile guest with one shard and a clock.
func hostile(t testing.TB, deadline time.Duration) (*plugin.Plugin, *clock) {
	clock := newClock()
	config := quiet()
	config.Name, config.Shards, config.Trusted, config.Deadline, config.Now = "hostile", 1, deadline == 0, deadline, clock.Now
	return open(t, guest(t, "hostile"), config), clock
}

// shortDeadline is for calls that must exceed it. All others have patientDeadline,
// however busy the machine is: see hurried.
const (
	shortDeadline   = 20 * time.Millisecond
	patientDeadline = time.Minute
)

// hurried makes a guest that has patientDeadline exceed the short one.
func hurried(p *plugin.Plugin, call func() error) error {
	p.SetDeadline(shortDeadline)
	defer p.SetDeadline(patientDeadline)
	return call()
}

// failures are the faults that end an instance, in any operation.
var failures = []failing{
	{"trap", store.Millis(actTrap), 0, plugin.ErrTrap, "unreachable", false},
	{"trap of an untrusted guest", store.Millis(actTrap), time.Minute, plugin.ErrTrap, "unreachable", false},
	{"loop", store.Millis(actLoop), shortDeadline, plugin.ErrDeadline, "deadline", false},
	{"recursion", store.Millis(actRecurse), 0, plugin.ErrTrap, "stack overflow", false},
	{"recursion of an untrusted guest", store.Millis(actRecurse), time.Minute, plugin.ErrDepth, "bytes of stack: may take 16777216", false},
	{"division", store.Millis(actDivide), 0, plugin.ErrTrap, "integer divide by zero", false},
	{"pointer beyond the memory", store.Millis(actBeyond), 0, plugin.ErrMemory, "0x7ffffff0", true},
	{"pointer that overflows", store.Millis(actOverflow), 0, plugin.ErrMemory, "0x7fffffff", true},
	{"one byte beyond", store.Millis(actOneByteBeyond), 0, plugin.ErrMemory, "8 bytes at 0x001ffff9: must lie within the memory, which has 2097152", true},
	{"length above all limits", store.Millis(actTooLong), 0, plugin.ErrProtocol, "4294967295 bytes", true},
	{"exit", store.Millis(actExit), 0, plugin.ErrExit, "exited with code 7", false},
	{"exit of an untrusted guest", store.Millis(actExit), time.Minute, plugin.ErrExit, "exited with code 7", false},
	{"exit with success", store.Millis(actExitZero), 0, plugin.ErrExit, "exited with code 0", false},
	{"growing for ever", store.Millis(actGrow), shortDeadline, plugin.ErrDeadline, "deadline", false},
	{"log flood", store.Millis(actLogFlood), shortDeadline, plugin.ErrDeadline, "deadline", false},
	{"random flood", store.Millis(actRandomFlood), shortDeadline, plugin.ErrDeadline, "deadline", false},
	{"random flood without a loop", store.Millis(actRandomStraight), shortDeadline, plugin.ErrDeadline, "deadline", false},
	{"write flood", store.Millis(actWriteFlood), shortDeadline, plugin.ErrDeadline, "deadline", false},
	{"log from beyond the memory", store.Millis(actLogBeyond), 0, plugin.ErrMemory, "function of the host", false},
	{"log that overflows", store.Millis(actLogOverflow), 0, plugin.ErrMemory, "function of the host", false},
	{"fail from far beyond the memory", store.Millis(actFailBeyondMemory), 0, plugin.ErrMemory, "function of the host", false},
	{"fail from beyond the memory", store.Millis(actFailBeyond), 0, plugin.ErrMemory, "function of the host", false},
	{"empty table entry", store.Millis(actEmptyTable), 0, plugin.ErrTrap, "invalid table access", false},
}

type failing struct {
	name     string
	act      store.Millis
	deadline time.Duration
	kind     error
	says     string
	regions  bool // only where a region is the result
}

// in reports whether the failure can happen in an operation, and is worth trying.
func (f failing) in(operation string) bool {
	if f.regions {
		return operation == "get" || operation == "keys" || operation == "snapshot"
	}
	// Each recursion costs 160 MB of garbage.
	return f.act != actRecurse || operation == "get" || operation == "save"
}

// After any fault in any operation the caller gets an error that names the fault and
// says that the storage is unavailable, and the shard works again after the pause.
func TestFailures(t *testing.T) {
	for _, c := range failures {

		t.Run(c.name, func(t *testing.T) {
			hurry := func(_ *plugin.Plugin, call func() error) error { return call() }
			if c.deadline == shortDeadline {
				c.deadline, hurry = patientDeadline, hurried
			}
			p, clock := hostile(t, c.deadline)
			for name, operate := range operations {
				if !c.in(name) {
					continue
				}
				if _, err := p.Get(ctx, key, actWork); err != nil {
					require.NoError(t, err, "before %s", name)
				}
				err := hurry(p, func() error { return operate(p, store.Millis(c.act)) })
				require.ErrorIs(t, err, c.kind, name)
				require.ErrorIs(t, err, store.ErrUnavailable, name)
				require.ErrorContains(t, err, c.says, name)
				var e *plugin.Error
				require.ErrorAs(t, err, &e)
				require.Equal(t, name, e.Op)
				require.Equal(t, "hostile", e.Plugin)

				_, err = p.Get(ctx, key, actWork)
				require.ErrorIs(t, err, plugin.ErrBackoff, "after %s", name)
				require.ErrorIs(t, err, store.ErrUnavailable)
				require.ErrorAs(t, err, &e)
				require.Positive(t, e.RetryAfter)
				require.Equal(t, plugin.StateBackoff, p.Stats().Shards[0].State)
				clock.advance(e.RetryAfter)
				value, err := p.Get(ctx, key, actWork)
				require.NoError(t, err, "after %s and a pause", name)
				require.Equal(t, "\x01\x00\x00\x00\x00\x00\x00\x00value", string(value))
				clock.advance(time.Minute) // the next failure is a first one again
			}
		})
	}
}

func TestCodes(t *testing.T) {
	p, _ := hostile(t, 0)
	for code, want := range map[store.Millis]error{
		-1: store.ErrNotFound, -2: store.ErrInvalid, -3: store.ErrTooLarge, -4: store.ErrNoSpace, -5: store.ErrUnavailable,
		-6: store.ErrConflict, -7: store.ErrCorrupt, -8: store.ErrDenied, -9: store.ErrUnsupported, -10: store.ErrInternal,
		-11: store.ErrInternal, -1 << 40: store.ErrInternal, -1<<62 - 1: store.ErrInternal,
	} {
		for _, name := range []string{"get", "set", "clear", "save"} {
			err := operations[name](p, actCode-code)
			require.ErrorIs(t, err, want, "%s of %d", name, code)
			var e *plugin.Error
			if code != -1 && code != -6 {
				require.ErrorAs(t, err, &e)
				require.Nil(t, e.Kind)
				require.Equal(t, max(abi.Code(code), abi.Internal), e.Code)
				require.Contains(t, err.Error(), e.Code.String())
			}
		}
	}
	require.NoError(t, p.Delete(ctx, key, actCode+1), "to delete what is absent is no error")
	require.ErrorIs(t, operations["get"](p, store.Millis(actUnknownCode)), store.ErrInternal)

	err := operations["get"](p, store.Millis(actMessage))
	require.ErrorIs(t, err, store.ErrInvalid)
	var e *plugin.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, "bad\ufffd[31m\ufffd\ufffd\ufffd text", e.Message, "control characters are replaced")
	err = operations["get"](p, actCode+2)
	require.ErrorAs(t, err, &e)
	require.Empty(t, e.Message, "the message of an earlier call is gone")
	require.Zero(t, p.Stats().Restarts, "answers are no failures")
}

// The functions of WASI answer a pointer outside of the memory with an error.
func TestWasiRefusesPointers(t *testing.T) {
	p, _ := hostile(t, 0)
	require.NoError(t, operations["clear"](p, store.Millis(actWasiBeyond)))
}

func TestMessageTurnsConflictIntoAnError(t *testing.T) {
	p, _ := hostile(t, 0)
	require.True(t, operations["get"](p, actCode+6) == store.ErrConflict)
}

func TestEnumerationsThatLie(t *testing.T) {
	for _, c := range []struct {
		act  store.Millis
		says string
		ends bool // the instance
	}{
		{actCursorEndless, "cursor 5 comes again", false},
		{actCursorsAlternate, "comes again", false},
		{actCursorNegative, "the cursor is -5", true},
		{actKeyCut, "6 bytes", true},
		{actKeyEmpty, "of 0", true},
		{actChunkShort, "7 bytes", true},
	} {
		for _, op := range []string{"keys", "snapshot"} {
			p, _ := hostile(t, 0)
			err := operations[op](p, c.act)
			require.ErrorIs(t, err, plugin.ErrProtocol, "%s %d", op, c.act)
			require.ErrorIs(t, err, store.ErrUnavailable)
			require.ErrorContains(t, err, c.says)
			_, err = p.Get(ctx, key, actWork)
			require.Equal(t, c.ends, err != nil)
		}
	}
}

func TestEnumerationOfAReplacedInstance(t *testing.T) {
	clock := newClock()
	config := quiet()
	config.Shards, config.Now = 1, clock.Now
	p := open(t, guest(t, "store"), config)
	for i := range 20 {
		require.NoError(t, p.Set(ctx, store.Write{Key: fmt.Append(nil, i), Value: value(1, ""), Now: 1}))
	}
	n := 0
	var last error
	for _, err := range p.Keys(ctx, 1) {
		if n++; n == 1 {
			require.NoError(t, p.Recycle(ctx))
		}
		last = err
	}
	require.ErrorIs(t, last, store.ErrUnavailable)
	require.ErrorContains(t, last, "replaced")
	require.Equal(t, 9, n, "one chunk of eight, and the error")
}

func TestBackoffDoublesAndEnds(t *testing.T) {
	p, clock := hostile(t, 0)
	start := clock.Now()
	want := 10 * time.Millisecond
	for range 15 {
		require.ErrorIs(t, p.Clear(ctx, actTrap), plugin.ErrTrap)
		shard := p.Stats().Shards[0]
		require.Equal(t, want, shard.RetryAfter)
		require.Equal(t, "clear: the guest trapped: unreachable", shard.LastError)
		clock.advance(want - time.Nanosecond)
		require.ErrorIs(t, p.Clear(ctx, actWork), plugin.ErrBackoff)
		clock.advance(time.Nanosecond)
		require.NoError(t, p.Clear(ctx, actWork))
		want = min(2*want, 30*time.Second)
	}
	require.Equal(t, uint64(15), p.Stats().Restarts)
	clock.advance(31 * time.Second)
	require.ErrorIs(t, p.Clear(ctx, actTrap), plugin.ErrTrap)
	require.Equal(t, 10*time.Millisecond, p.Stats().Shards[0].RetryAfter, "an instance that ran well starts over")
	require.Positive(t, clock.Now().Sub(start))
}

// A guest opens once and then cannot open again: the backoff counts that like any
// other failure.
func TestFailureToOpenAgain(t *testing.T) {
	clock := newClock()
	config := quiet()
	config.Shards, config.Now = 1, clock.Now
	p := open(t, guest(t, "open_picky"), config)
	p.SetSetting("a", strings.Repeat("long", 100))
	_, err := p.Get(ctx, key, 1)
	require.ErrorIs(t, err, plugin.ErrTrap)
	for i, want := range []time.Duration{20, 40, 80, 160} {
		clock.advance(p.Stats().Shards[0].RetryAfter)
		err = p.Save(ctx, 1)
		require.ErrorIs(t, err, plugin.ErrTrap)
		require.ErrorContains(t, err, "open in shard 0")
		shard := p.Stats().Shards[0]
		require.Equal(t, want*time.Millisecond, shard.RetryAfter)
		require.Equal(t, i+2, shard.Failures)
	}
	p.SetSetting("a", "")
	clock.advance(time.Second)
	require.NoError(t, p.Save(ctx, 1))
}

// If a guest answers an error when it opens again, the host asks anew as soon as that
// costs little, however often it happens. It does not lengthen the pause of a later
// failure, and the log does not say it each time.
func TestRefusalToOpenAgain(t *testing.T) {
	var log logBuffer
	clock := newClock()
	config := quiet()
	config.Shards, config.Now, config.Logger = 1, clock.Now, log.logger()
	p := open(t, guest(t, "refuses_open"), config)
	_, err := p.Get(ctx, key, 1)
	require.ErrorIs(t, err, plugin.ErrTrap)
	p.SetSetting("a", strings.Repeat("long", 100))
	for i := range 1000 {
		wait := store.RetryIn(err)
		require.Equal(t, 10*time.Millisecond, wait)
		require.Equal(t, wait, p.Stats().Shards[0].RetryAfter)
		require.ErrorIs(t, p.Save(ctx, 1), plugin.ErrBackoff)
		clock.advance(wait)
		err = p.Save(ctx, 1)
		require.ErrorIs(t, err, store.ErrNoSpace)
		require.ErrorContains(t, err, "open in shard 0", i)
	}
	require.Equal(t, 4, strings.Count(log.String(), "the guest failed"), "the trap, and thrice that it does not open")
	clock.advance(time.Minute)
	require.ErrorIs(t, p.Save(ctx, 1), store.ErrNoSpace)
	require.Contains(t, log.String(), "repeated=997")
	p.SetSetting("a", "")
	clock.advance(10 * time.Millisecond)
	require.NoError(t, p.Save(ctx, 1))
	require.Equal(t, 1, strings.Count(log.String(), "the guest runs again"))
	_, err = p.Get(ctx, key, 1)
	require.ErrorIs(t, err, plugin.ErrTrap)
	require.Equal(t, 20*time.Millisecond, store.RetryIn(err), "the second failure")
}

// Long attempts to open are not so frequent that they fill the time.
func TestRefusalThatTakesLong(t *testing.T) {
	for step, most := range map[time.Duration]time.Duration{5 * time.Millisecond: 10 * time.Second, 10 * time.Second: 30 * time.Second} {
		clock := newClock()
		slow := time.Duration(0)
		config := quiet()
		config.Shards, config.Now = 1, func() time.Time { clock.advance(slow); return clock.Now() }
		p := open(t, guest(t, "refuses_open"), config)
		_, err := p.Get(ctx, key, 1)
		require.ErrorIs(t, err, plugin.ErrTrap)
		p.SetSetting("a", strings.Repeat("long", 100))
		clock.advance(time.Minute)
		slow = step
		err = p.Save(ctx, 1)
		slow = 0
		require.ErrorIs(t, err, store.ErrNoSpace)
		require.GreaterOrEqual(t, store.RetryIn(err), min(20*step, 30*time.Second))
		require.LessOrEqual(t, store.RetryIn(err), most)
	}
}

func TestTraceAndOutput(t *testing.T) {
	var log logBuffer
	config := quiet()
	config.Shards, config.Logger = 1, log.logger()
	p := open(t, guest(t, "hostile"), config)
	err := p.Clear(ctx, actWriteAndTrap)
	var e *plugin.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, "unreachable", e.Message)
	require.Equal(t, "about to fail\nsecond line\n", e.Output)
	require.NotEmpty(t, e.Trace)
	require.NotContains(t, err.Error(), "\n")
	require.Contains(t, log.String(), `level=WARN msg="about to fail" plugin=guest shard=0 source=stderr`)
	require.Contains(t, log.String(), `level=WARN msg="second line"`)
	require.Contains(t, log.String(), "the guest failed")
}

func TestLogFlood(t *testing.T) {
	var log logBuffer
	clock := newClock()
	config := quiet()
	config.Shards, config.Logger, config.Now = 1, log.logger(), clock.Now
	config.Trusted, config.Deadline = false, patientDeadline
	p := open(t, guest(t, "hostile"), config)
	lines := func() int { return strings.Count(log.String(), "source=log") }
	deadline := shortDeadline
	flood := func() {
		p.SetDeadline(deadline)
		err := p.Clear(ctx, actLogFlood)
		require.ErrorIs(t, err, plugin.ErrDeadline)
		clock.advance(store.RetryIn(err))
	}
	for flood(); lines() < 10 && deadline < patientDeadline; flood() {
		deadline *= 2 // a busy machine got little done
	}
	flood()
	require.Equal(t, 10, lines(), "a warning that is the same over and over")
	require.NotContains(t, log.String(), "\x1b")
	require.Contains(t, log.String(), `msg="bad�[31m��� text"`)

	clock.advance(time.Minute)
	for flood(); lines() < 11 && deadline < patientDeadline; flood() {
		deadline *= 2
	}
	require.Equal(t, 11, lines())
	require.Regexp(t, `source=log repeated=[1-9]`, log.String())
}

func TestMemoryIsBounded(t *testing.T) {
	p, clock := hostile(t, patientDeadline)
	require.ErrorIs(t, hurried(p, func() error { return p.Clear(ctx, actGrow) }), plugin.ErrDeadline)
	clock.advance(time.Hour)
	require.NoError(t, p.Clear(ctx, actWork))
	stats := p.Stats()
	require.Equal(t, int64(2<<20), stats.Memory, "the new instance has what it declares")
	require.Equal(t, int64(64<<20), stats.MemoryLimit)
}

// Sleeping passes a millisecond at most in one call; asking for an hour a
// hundred times must neither take that long nor fail.
func TestSleep(t *testing.T) {
	p, _ := hostile(t, 0)
	done := make(chan error, 1)
	go func() { done <- p.Clear(ctx, actSleep) }()
	select {
	case err := <-done:
		require.NoError(t, err)
	case <-time.After(30 * time.Second):
		require.Fail(t, "the guest sleeps")
	}
	require.NoError(t, p.Set(ctx, store.Write{Key: key, Now: actPollFlood}), "refused with an errno")
}

// A hostile plugin runs beside another one in the same process.
func TestNeighbourIsUnharmed(t *testing.T) {
	bad, clock := hostile(t, 20*time.Millisecond)
	good := open(t, guest(t, "store"), quiet())
	for i := range 50 {
		require.NoError(t, good.Set(ctx, store.Write{Key: fmt.Append(nil, i), Value: value(uint64(i), "v"), Now: 1}))
	}
	stop := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		for act := actTrap; ; act = act%actRandomStraight + 1 {
			select {
			case <-stop:
				return
			default:
			}
			if act == actRecurseWide {
				continue
			}
			_ = bad.Clear(ctx, act)
			clock.advance(time.Minute)
		}
	})
	for range 2000 {
		for i := range 50 {
			got, err := good.Get(ctx, fmt.Append(nil, i), 1)
			if err != nil || abi.Revision(got) != uint64(i) {
				require.NoError(t, err)
				require.Equal(t, value(uint64(i), "v"), got)
			}
		}
	}
	close(stop)
	wait.Wait()
	require.Zero(t, good.Stats().Restarts)
	require.Positive(t, bad.Stats().Restarts)
}

// A shard that fails leaves the others of its plugin alone.
func TestOtherShardsAreUnharmed(t *testing.T) {
	config := quiet()
	config.Shards, config.Now = 2, newClock().Now // the pause after the failure does not end
	p := open(t, guest(t, "hostile"), config)
	var keys [2][]byte
	for i := 0; keys[0] == nil || keys[1] == nil; i++ {
		k := fmt.Append(nil, "key", i)
		keys[abi.ShardOf(k, 2)] = k
	}
	_, err := p.Get(ctx, keys[0], actTrap)
	var e *plugin.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, 0, e.Shard)
	_, err = p.Get(ctx, keys[1], actWork)
	require.NoError(t, err)
	err = p.Save(ctx, actWork)
	require.ErrorIs(t, err, plugin.ErrBackoff, "of the one shard, while the other was saved")
	require.Equal(t, uint64(1), p.Stats().Shards[1].Ops["save"].Calls)
}

// Callers that wait for an untrusted guest can give up.
func TestWaitingEndsWithTheContext(t *testing.T) {
	p, _ := hostile(t, 300*time.Millisecond)
	running := make(chan error, 1)
	go func() { running <- p.Clear(ctx, actLoop) }()
	require.Eventually(t, func() bool { return p.Stats().Shards[0].Busy }, time.Minute, time.Millisecond)
	short, cancel := withTimeout(time.Millisecond)
	defer cancel()
	_, err := p.Get(short, key, actWork)
	require.ErrorIs(t, err, short.Err())
	require.ErrorIs(t, <-running, plugin.ErrDeadline)
}

func TestFailuresLeaveNothingBehind(t *testing.T) {
	p, clock := hostile(t, 0)
	fail := func(n int) {
		for range n {
			require.Error(t, p.Clear(ctx, actTrap))
			clock.advance(time.Hour)
			require.NoError(t, p.Clear(ctx, actWork))
		}
	}
	fail(20)
	runtime.GC()
	goroutines, mapped := runtime.NumGoroutine(), mappedMemory(t)
	fail(200)
	runtime.GC()
	require.LessOrEqual(t, runtime.NumGoroutine(), goroutines)
	require.LessOrEqual(t, mappedMemory(t), mapped+2*64<<20, "address space of failed instances is given back")
}

func TestErrorsFormat(t *testing.T) {
	p, _ := hostile(t, 0)
	err := p.Clear(ctx, actCode+5)
	require.EqualError(t, err, "plugin hostile: clear in shard 0: UNAVAILABLE")
	err = p.Clear(ctx, actTrap)
	require.EqualError(t, err, "plugin hostile: clear in shard 0: the guest trapped: unreachable")
	err = p.Clear(ctx, actWork)
	require.EqualError(t, err, "plugin hostile: open in shard 0: the guest is in backoff after a failure, next attempt in 10ms: "+
		"clear: the guest trapped: unreachable")
	require.False(t, errors.Is(err, plugin.ErrTrap))
}
