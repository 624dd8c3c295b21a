package main

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

type answer struct {
	code abi.Code
	body string
}

// batch does operations at once, over an engine.
func batch(t *testing.T, h *guest.Harness, ops ...abi.BatchOp) (answers []answer) {
	t.Helper()
	var list []byte
	for i := range ops {
		list = abi.AppendBatchOp(list, &ops[i])
	}
	results, err := h.Batch(list)
	require.NoError(t, err)
	for {
		code, body, rest, ok := abi.NextBatchResult(results)
		if !ok {
			require.Len(t, answers, len(ops))
			return answers
		}
		answers, results = append(answers, answer{code, string(body)}), rest
	}
}

func put(key, text string) abi.BatchOp {
	return abi.BatchOp{Kind: abi.BatchSet, Key: []byte(key), Value: value(1, text), Now: now}
}

func get(key string) abi.BatchOp {
	return abi.BatchOp{Kind: abi.BatchGet, Key: []byte(key), Now: now}
}

// Operations of one key are done in their order, whatever they are.
func TestBatchOfOneKey(t *testing.T) {
	server := backend.SharedPostgres(t)
	h, _ := start(t, with(server)...)
	ok := answer{0, ""}
	require.Equal(t, []answer{{abi.NotFound, ""}, ok, {0, string(value(1, "a"))}, ok, {0, string(value(1, "b"))}, ok, {abi.NotFound, ""}},
		batch(t, h, get("k"), put("k", "a"), get("k"), put("k", "b"), get("k"), abi.BatchOp{Kind: abi.BatchDelete, Key: []byte("k"), Now: now}, get("k")))
}

// One operation that the server refuses does not fail the others.
func TestBatchWithARefusal(t *testing.T) {
	for name, more := range map[string][]string{"prepared": nil, "not prepared": {"prepare", "off"}, "one connection": {"connections", "1"}} {
		t.Run(name, func(t *testing.T) {
			server := backend.SharedPostgres(t)
			settings := with(server, more...)
			h, _ := start(t, settings...)
			name := settings[slices.Index(settings, "table")+1]
			server.Query(fmt.Sprintf(`CREATE FUNCTION %s_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
IF NEW.key = 'bad' THEN RAISE EXCEPTION 'not this one'; END IF; RETURN NEW; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON %[1]s FOR EACH ROW EXECUTE FUNCTION %[1]s_refuse()`, name))
			var ops []abi.BatchOp
			for i := range 100 {
				ops = append(ops, put(fmt.Sprint("key ", i), "text"), get("absent"+fmt.Sprint(i)))
			}
			ops = append(ops, put("bad", "text"), get("bad"))
			answers := batch(t, h, ops...)
			for i, a := range answers[:200] {
				want := answer{0, ""}
				if i%2 == 1 {
					want.code = abi.NotFound
				}
				require.Equal(t, want, a)
			}
			require.Equal(t, abi.Internal, answers[200].code)
			require.Contains(t, answers[200].body, "not this one")
			require.Equal(t, abi.NotFound, answers[201].code)
			require.Equal(t, "100", server.Query("SELECT count(*) FROM "+name))
		})
	}
}

// Somebody else's transaction locks the records in another order: the server ends one of the
// two, and what the engine was told is done again.
func TestDeadlock(t *testing.T) {
	server := backend.Postgres(t, backend.PostgresOptions{Settings: []string{"deadlock_timeout = 20s"}})
	server.Query("ALTER ROLE waddle SET deadlock_timeout = '3s'")
	settings := with(server, "connections", "1", "timeout_ms", "20000")
	h, _ := start(t, settings...)
	batch(t, h, put("a", "old"), put("b", "old"))
	done := make(chan string)
	name := settings[slices.Index(settings, "table")+1]
	go func() {
		done <- server.Query("BEGIN; UPDATE " + name + " SET rev = rev WHERE key = 'b'; SELECT pg_sleep(1); UPDATE " + name + " SET rev = rev WHERE key = 'a'; COMMIT")
	}()
	require.Eventually(t, func() bool {
		return server.Query("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "1"
	}, 20*time.Second, 5*time.Millisecond)
	require.Equal(t, []answer{{}, {}}, batch(t, h, put("a", "new"), put("b", "new")))
	<-done
	require.Equal(t, []answer{{0, string(value(1, "new"))}, {0, string(value(1, "new"))}}, batch(t, h, get("a"), get("b")))
	require.Eventually(t, func() bool {
		return server.Query("SELECT deadlocks FROM pg_stat_database WHERE datname = 'waddle'") == "1"
	}, 20*time.Second, 50*time.Millisecond)
}

// What is found in one batch is bounded: the host asks for the rest again.
func TestBatchThatFindsTooMuch(t *testing.T) {
	server := backend.SharedPostgres(t)
	h, _ := start(t, with(server)...)
	text := string(make([]byte, 100_000))
	var gets []abi.BatchOp
	for i := range 60 {
		key := fmt.Sprint("key ", i)
		require.NoError(t, h.Set(set(key, text, 1, 0)))
		gets = append(gets, get(key))
	}
	found, left := 0, 0
	for _, a := range batch(t, h, gets...) {
		switch a.code {
		case 0:
			require.Equal(t, string(value(1, text)), a.body)
			found++
		case abi.Unsupported:
			left++
		default:
			t.Fatal(a.code)
		}
	}
	require.Positive(t, found)
	require.Positive(t, left)
	require.Equal(t, 60, found+left)
}

// The answers to reads may be more than fits into what lies between: nobody waits for ever.
func TestLargeBatch(t *testing.T) {
	server := backend.SharedPostgres(t)
	for _, connections := range []string{"1", "4"} {
		h, _ := start(t, with(server, "connections", connections, "timeout_ms", "30000")...)
		text := string(make([]byte, 15_000))
		var puts, gets []abi.BatchOp
		for i := range abi.MaxBatch {
			key := fmt.Sprint("key ", i)
			puts, gets = append(puts, put(key, text)), append(gets, get(key))
		}
		for _, a := range batch(t, h, puts...) {
			require.Equal(t, answer{}, a)
		}
		for _, a := range batch(t, h, gets...) {
			require.Equal(t, answer{0, string(value(1, text))}, a)
		}
		both := slices.Clone(gets)
		for i := range both {
			if i%2 == 0 {
				both[i] = puts[i]
			}
		}
		for i, a := range batch(t, h, both...) {
			require.Equal(t, abi.Code(0), a.code, i)
		}
	}
}

// A batch whose connections are cut is done, or may have been; what can know itself is done.
func TestBatchThatIsCut(t *testing.T) {
	server := backend.SharedPostgres(t)
	proxy := backend.NewProxy(t, server.Addr())
	for _, connections := range []string{"1", "3"} {
		settings := with(server, "connections", connections)
		direct, _ := start(t, settings...)
		through, _ := start(t, pairs(append(settings, "addresses", proxy.Addr())...)...)
		const n = 40
		for cut := int64(0); cut < 12_000; cut += 401 {
			require.NoError(t, direct.Clear(now))
			var before, ops, after []abi.BatchOp
			for i := range n {
				old, fresh := fmt.Sprint("old ", i), fmt.Sprint("new ", i)
				before = append(before, put(old, "old"))
				replace, create, delete := put(old, "changed"), put(fresh, "new"), abi.BatchOp{Kind: abi.BatchDelete, Key: []byte(fresh + "x"), Now: now}
				replace.Expect, create.Expect = 1, -1
				ops = append(ops, get(old), replace, create, delete)
				after = append(after, get(old), get(fresh))
			}
			batch(t, direct, before...)
			direction := backend.ToServer
			if cut%2 == 0 {
				direction = backend.ToClient
			}
			proxy.CutAfter(cut, direction)
			answers := batch(t, through, ops...)
			stored := batch(t, direct, after...)
			for i := range n {
				require.Equal(t, abi.Code(0), answers[4*i].code, "get, cut after %d", cut)
				require.Equal(t, answer{}, answers[4*i+1], "replace, cut after %d", cut)
				require.Equal(t, answer{}, answers[4*i+2], "create, cut after %d", cut)
				require.Equal(t, answer{}, answers[4*i+3], "delete, cut after %d", cut)
				require.Equal(t, answer{0, string(value(1, "changed"))}, stored[2*i])
				require.Equal(t, answer{0, string(value(1, "new"))}, stored[2*i+1])
			}
			proxy.CutAll()
		}
	}
}
