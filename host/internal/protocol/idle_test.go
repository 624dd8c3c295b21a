package protocol

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

// idlingInstance is a fake that wants time between its calls.
type idlingInstance struct {
	*fakeInstance
	wants int64
}

func (i *idlingInstance) Idle(store.Millis) (int64, error) { return i.wants, i.f.call("idle", i.shard) }

func newIdling(wants int64) *fake {
	f := newFake(abi.DescribeCapabilities, "cas remote")
	f.shared = make(map[string]store.Record)
	f.as = func(inst *fakeInstance) Instance { return &idlingInstance{inst, wants} }
	return f
}

func TestIdle(t *testing.T) {
	f := newIdling(20)
	st := f.lazy(t, Config{Shards: 2})
	idles := func(shard int) (time.Duration, bool) { return st.Idle(shard, 1) }
	require.NoError(t, st.Open(0))

	next, absent := idles(0)
	require.Equal(t, 20*time.Millisecond, next)
	require.False(t, absent)
	_, _ = idles(1)
	require.Equal(t, 1, f.count("idle"), "the other was never open")
	require.Equal(t, 1, f.count("new"), "and is not opened by it")

	// One that is in a call does without.
	st.shards[0].mu.Lock()
	_, absent = idles(0)
	st.shards[0].mu.Unlock()
	require.False(t, absent)
	require.Equal(t, 1, f.count("idle"))

	// It does not keep an instance awake, as a call does.
	_, err := st.Get(t.Context(), []byte("key"), 1)
	require.ErrorIs(t, err, store.ErrNotFound)
	require.NoError(t, st.SleepIfIdle(t.Context(), 0, 1))
	_, _ = idles(0)
	require.NoError(t, st.SleepIfIdle(t.Context(), 0, 1))
	require.True(t, st.Resting())
	_, _ = idles(0)
	require.Equal(t, 2, f.count("idle"), "it sleeps")

	// A fault is one as of any call.
	_, err = st.Get(t.Context(), []byte("key"), 1)
	require.ErrorIs(t, err, store.ErrNotFound)
	f.failing("idle", &Fault{Kind: ErrTrap, Message: "in the background"})
	_, absent = idles(0)
	require.False(t, absent)
	require.EqualValues(t, 1, st.Stats()[0].Failures)
	require.Contains(t, st.Stats()[0].LastError, "idle: the guest trapped: in the background")
	_, _ = idles(0)
	require.Equal(t, 3, f.count("idle"), "there is no instance")

	require.NoError(t, st.Close(t.Context(), 1, nil))
	_, _ = idles(0)
	require.Equal(t, 3, f.count("idle"))
}

func TestIdleOfWhoHasNothingToDo(t *testing.T) {
	f := newIdling(1 << 62)
	st := f.open(t, Config{})
	next, _ := st.Idle(0, 1)
	require.Equal(t, maxIdle, next, "however long it wants none")
	f.failing("idle", &Answer{Code: abi.Unavailable, Message: "no server"})
	_, absent := st.Idle(0, 1)
	require.False(t, absent, "an error is no fault: it tries again")
	require.Zero(t, st.Stats()[0].Failures)
	require.EqualValues(t, 1, st.Stats()[0].Ops["idle"].Errors)
	f.failing("idle", nil)
	f.lacks = []string{"idle"}
	_, absent = st.Idle(0, 1)
	require.True(t, absent)
	_, absent = newFake().open(t, Config{}).Idle(0, 1)
	require.True(t, absent, "an instance that knows of no such thing")

	// One that has used what it may has no time either.
	spent := newIdling(0)
	st = spent.lazy(t, Config{Allow: func() *Failure { return &Failure{Kind: ErrRate} }})
	require.NoError(t, st.Open(0))
	_, _ = st.Idle(0, 1)
	require.Zero(t, spent.count("idle"))
}

// Who waits in a call of Close learns of Close's own context.
func TestCloseTellsItsContext(t *testing.T) {
	f := newFake()
	var inst *asideInstance
	f.as = func(i *fakeInstance) Instance {
		inst = &asideInstance{fakeInstance: i, t: t}
		return inst
	}
	st := f.open(t, Config{})
	ctx := t.Context()
	seen := false
	f.within = func(op string, _ int) { seen = seen || op == "save" && inst.register.Caller == ctx }
	require.NoError(t, st.Close(ctx, 1, nil))
	require.True(t, seen)
}
