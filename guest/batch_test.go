package guest_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
)

// batching is an engine that answers a batch by its single operations.
type batching struct {
	plain
	seen  []string
	stop  int   // the number of the operation that gets no answer, if not 0
	whole error // what Batch answers at its end
	build bool  // values are built in Scratch
}

func (e *batching) Touch(key []byte, _, now int64) error { _, err := e.Get(key, now); return err }

func (e *batching) Batch(b *guest.Batch) error {
	for n := range b.Len() {
		op := b.Op(n)
		e.seen = append(e.seen, fmt.Sprintf("%d %s=%s", op.Kind, op.Key, op.Value))
		if e.stop > 0 && n == e.stop {
			break
		}
		switch op.Kind {
		case guest.BatchGet:
			value, err := e.Get(op.Key, op.Now)
			if e.build && err == nil {
				value = append(guest.Scratch(len(value) + 3)[:0], value...)
			}
			b.Answer(value, err)
		case guest.BatchSet:
			b.Answer(nil, e.Set(op.Write))
		case guest.BatchDelete:
			b.Answer([]byte("ignored"), e.Delete(op.Key, op.Now))
		case guest.BatchTouch:
			b.Answer(nil, e.Touch(op.Key, op.Expires, op.Now))
		}
	}
	return e.whole
}

type answer struct {
	code abi.Code
	body string
}

func list(ops ...abi.BatchOp) (list []byte) {
	for _, op := range ops {
		list = abi.AppendBatchOp(list, &op)
	}
	return list
}

func get(key string) abi.BatchOp { return abi.BatchOp{Kind: abi.BatchGet, Key: []byte(key), Now: 1} }
func del(key string) abi.BatchOp { return abi.BatchOp{Kind: abi.BatchDelete, Key: []byte(key), Now: 1} }
func touch(key string) abi.BatchOp {
	return abi.BatchOp{Kind: abi.BatchTouch, Key: []byte(key), Now: 1}
}
func set(key, value string) abi.BatchOp {
	return abi.BatchOp{Kind: abi.BatchSet, Key: []byte(key), Value: []byte(value), Now: 1}
}

func batch(t *testing.T, h *guest.Harness, ops ...abi.BatchOp) (answers []answer) {
	t.Helper()
	results, err := h.Batch(list(ops...))
	require.NoError(t, err)
	for {
		code, body, rest, ok := abi.NextBatchResult(results)
		if !ok {
			require.Empty(t, rest)
			require.Len(t, answers, len(ops))
			return answers
		}
		answers, results = append(answers, answer{code, string(body)}), rest
	}
}

func TestBatch(t *testing.T) {
	for _, build := range []bool{false, true} {
		engine := &batching{build: build}
		h := opened(t, engine, info)
		require.Equal(t, []answer{
			{abi.NotFound, ""}, {0, ""}, {0, "v"}, {0, ""}, {0, "v2"}, {0, ""}, {0, ""}, {0, ""}, {abi.NotFound, ""}, {abi.NotFound, ""},
		}, batch(t, h, get("k"), set("k", "v"), get("k"), set("k", "v2"), get("k"), touch("k"), del("k"), del("k"), get("k"), touch("k")))
		require.Equal(t, []answer{{abi.NotFound, ""}}, batch(t, h, get("k")), "a shorter one leaves nothing behind")
	}
}

// What a single call would not bring to the engine, a batch does not either.
func TestWhatABatchKeepsFromTheEngine(t *testing.T) {
	engine := new(batching)
	h := opened(t, engine, info)
	long, big := strings.Repeat("k", 101), strings.Repeat("v", 5000)
	require.Equal(t, []answer{
		{abi.NotFound, ""}, {0, ""}, {abi.NotFound, ""},
		{0, ""},
		{abi.TooLarge, "the key is longer than the 100 bytes that this engine takes"},
		{abi.Invalid, "the key is empty: must have at least one byte"},
		{0, "v"},
		{abi.Unsupported, ""}, {abi.Unsupported, ""},
	}, batch(t, h, get(long), del(long), touch(long), set("k", "v"), set(long, "v"), get(""), get("k"),
		abi.BatchOp{Kind: 0, Key: []byte("k")}, abi.BatchOp{Kind: 5, Key: []byte("k")}))
	require.Equal(t, []string{"2 k=v", "1 k="}, engine.seen)

	engine.seen = nil
	require.Equal(t, []answer{{abi.NotFound, ""}}, batch(t, h, get(long)))
	require.Empty(t, engine.seen, "there is nothing to ask it")

	h = opened(t, engine, guest.Info{Name: "n", MaxValue: 4096})
	require.Equal(t, []answer{{abi.TooLarge, "the value is longer than the 4096 bytes that this engine takes"}, {0, ""}},
		batch(t, h, set("k", big), set("k", "v")))
}

func TestBatchOfAnEngineThatCannotTouch(t *testing.T) {
	engine := new(batching)
	h := opened(t, struct {
		guest.Engine
		guest.Batcher
	}{engine, engine}, info)
	require.Equal(t, []answer{{0, ""}, {abi.Unsupported, ""}, {0, "v"}}, batch(t, h, set("k", "v"), touch("k"), get("k")))
}

func TestExpiredWriteInABatch(t *testing.T) {
	for _, cas := range []bool{false, true} {
		engine, info := new(batching), info
		info.CAS = cas
		h := opened(t, engine, info)
		expired := set("k", "v")
		expired.Expires, expired.Now = 5, 5
		require.Equal(t, []answer{{0, ""}, {0, ""}}, batch(t, h, set("k", "v"), expired))
		want := map[bool]string{false: "3 k=", true: "2 k=v"}[cas]
		require.Equal(t, []string{"2 k=v", want}, engine.seen)
	}
}

func TestBatchThatIsMalformed(t *testing.T) {
	engine := new(batching)
	h := opened(t, engine, info)
	good := list(set("k", "v"), get("k"))
	many := bytes.Repeat(list(get("k")), abi.MaxBatch)
	withValue := get("k")
	withValue.Value = []byte("v")
	for name, bad := range map[string][]byte{
		"empty": {}, "cut short": good[:len(good)-1], "cut in a header": append(bytes.Clone(good), 1, 2, 3),
		"too many": append(many, list(get("k"))...), "a value of a get": list(withValue),
		"of an untold length": append(list(get("k")), 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255),
	} {
		_, err := h.Batch(bad)
		require.ErrorIs(t, err, guest.ErrInvalid, name)
	}
	require.Empty(t, engine.seen)
	results, err := h.Batch(many)
	require.NoError(t, err)
	require.Len(t, results, 8*abi.MaxBatch)

	_, err = guest.NewHarness(new(batching), info).Batch(good)
	require.ErrorIs(t, err, guest.ErrInvalid, "not open")
	_, err = opened(t, new(plain), info).Batch(good)
	require.ErrorIs(t, err, guest.ErrUnsupported)
}

func TestErrorsInABatch(t *testing.T) {
	engine := new(batching)
	h := opened(t, engine, info)
	engine.fail = guest.Fail(guest.ErrDenied, "no entry")
	require.Equal(t, []answer{{abi.Denied, "no entry"}, {abi.Denied, "no entry"}, {abi.Denied, "no entry"}, {abi.Denied, "no entry"}},
		batch(t, h, get("k"), set("k", "v"), del("k"), touch("k")))
	engine.fail = errors.New(strings.Repeat("x", 2000))
	require.Equal(t, []answer{{abi.Internal, strings.Repeat("x", abi.MaxMessage)}}, batch(t, h, get("k")))
	engine.fail, engine.stop = nil, 1
	require.Equal(t, []answer{
		{abi.NotFound, ""},
		{abi.Internal, "the engine gave no answer to this operation of a batch"}, {abi.NotFound, ""}, {abi.Internal, "the engine gave no answer to this operation of a batch"},
	}, batch(t, h, get("k"), get("k"), get(strings.Repeat("k", 101)), get("k")))

	engine.whole = guest.Fail(guest.ErrUnavailable, "the server is gone")
	_, err := h.Batch(list(get("k")))
	require.EqualError(t, err, "guest: UNAVAILABLE: the server is gone")
}

type eager struct{ batching }

func (e *eager) Batch(b *guest.Batch) error {
	for range b.Len() + 1 {
		b.Answer(nil, nil)
	}
	return nil
}

func TestMoreAnswersThanOperations(t *testing.T) {
	h := opened(t, new(eager), info)
	require.PanicsWithValue(t, "guest: Batch.Answer was called more often than there are operations", func() { _, _ = h.Batch(list(get("k"))) })
}

// A value without room is for the host to ask again; everything else has its answer.
func TestValuesThatDoNotFitIntoABatch(t *testing.T) {
	for _, build := range []bool{false, true} {
		engine := &batching{build: build}
		h := guest.NewHarness(engine, info)
		require.NoError(t, h.Open(abi.ConfigMemoryLimit, "16777216")) // so that 1 MiB is for results
		big, small := strings.Repeat("b", 200_000), strings.Repeat("s", 1000)
		require.NoError(t, h.Set(guest.Write{Key: []byte("big"), Value: []byte(big)}))
		require.NoError(t, h.Set(guest.Write{Key: []byte("small"), Value: []byte(small)}))
		var ops []abi.BatchOp
		for range 50 {
			ops = append(ops, get("small"), get("big"))
		}
		fitted := 0
		for n, got := range batch(t, h, ops...) {
			switch {
			case got == answer{abi.Unsupported, ""}:
				require.True(t, n%2 == 1 || n > 80, "operation %d has room", n)
			case n%2 == 0:
				require.Equal(t, answer{0, small}, got)
			default:
				require.Equal(t, answer{0, big}, got)
				fitted++
			}
		}
		require.Equal(t, 5, fitted, "of 1 MiB")
	}
}

func TestMessagesWithoutRoom(t *testing.T) {
	engine := new(batching)
	h := guest.NewHarness(engine, info)
	require.NoError(t, h.Open(abi.ConfigMemoryLimit, "1048576")) // 64 KiB for results
	engine.fail = errors.New(strings.Repeat("m", 1024))
	answers := batch(t, h, make256(get("k"))...)
	require.Equal(t, answer{abi.Internal, strings.Repeat("m", 1024)}, answers[0])
	require.Equal(t, answer{abi.Internal, ""}, answers[255])
}

func make256(op abi.BatchOp) (ops []abi.BatchOp) {
	for range abi.MaxBatch {
		ops = append(ops, op)
	}
	return ops
}

// answering is an engine whose own part of a batch allocates nothing.
type answering struct {
	plain
	value []byte
}

func (e *answering) Batch(b *guest.Batch) error {
	for range b.Len() {
		b.Answer(e.value, nil)
	}
	return nil
}

func TestBatchAllocatesNothing(t *testing.T) {
	engine := &answering{value: make([]byte, 200)}
	h := opened(t, engine, info)
	few, many := list(get("k"), set("k", "v"), get("k")), list(make256(get("k"))...)
	costs := func(list []byte) float64 {
		return testing.AllocsPerRun(100, func() { _, _ = h.Batch(list) })
	}
	require.Equal(t, costs(few), costs(many))
	require.LessOrEqual(t, costs(many), 1.0, "the harness copies the results")
}

// idling wants to be called again.
type idling struct {
	plain
	next int64
	err  error
	at   []int64
}

func (e *idling) Idle(now int64) (int64, error) {
	e.at = append(e.at, now)
	return e.next, e.err
}

func TestIdle(t *testing.T) {
	engine := &idling{next: 250}
	h := guest.NewHarness(engine, info)
	_, err := h.Idle(1)
	require.ErrorIs(t, err, guest.ErrInvalid, "not open")
	require.NoError(t, h.Open())
	next, err := h.Idle(7)
	require.NoError(t, err)
	require.EqualValues(t, 250, next)
	engine.next = -5
	next, err = h.Idle(8)
	require.NoError(t, err, "a negative answer is no code")
	require.Zero(t, next)
	require.Equal(t, []int64{7, 8}, engine.at)
	engine.err = guest.Fail(guest.ErrUnavailable, "no ping")
	_, err = h.Idle(9)
	require.EqualError(t, err, "guest: UNAVAILABLE: no ping")
	_, err = opened(t, new(plain), info).Idle(1)
	require.ErrorIs(t, err, guest.ErrUnsupported)
}
