package plugintest

import (
	"errors"
	"fmt"
	"os"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
)

// refuser is a guest that receives arguments that a host would not give it: see
// direct.
type refuser struct {
	*plugin.Plugin
	h *harness
	p *storetest.Probe
}

func (h *harness) refuser(p *storetest.Probe) (refuser, int64) {
	h.needsDirect(p)
	g, limit := h.small(p, h.direct)
	return refuser{g, h, p}, limit
}

func (r refuser) set(key, value []byte) error {
	return r.Set(r.p.Context(), store.Write{Key: key, Value: value, Now: storetest.Now})
}

func (r refuser) get(key []byte) ([]byte, error) {
	return r.Get(r.p.Context(), append([]byte{directGet}, key...), storetest.Now)
}

func (r refuser) restore(list []byte) error { return r.set(restoreKey, list) }

// must ends the check if an operation, named by what, failed.
func (r refuser) must(what string, err error) {
	if err != nil {
		r.p.Fail(what+": "+err.Error(), "success")
	}
}

// holds requires the value under the key, or its absence if it is nil.
func (r refuser) holds(after string, key, value []byte) {
	got, err := r.get(key)
	switch {
	case value == nil && !errors.Is(err, store.ErrNotFound):
		r.p.Failf("NOT_FOUND", "%s, session_get of %q: %d bytes, %s", after, key, len(got), outcome(err))
	case value != nil && (err != nil || string(got) != string(value)):
		r.p.Failf("the value as it was stored", "%s, session_get of %q: %d bytes, %s", after, key, len(got), outcome(err))
	}
}

// refusal is something that a guest refuses.
type refusal struct {
	name string
	want error
	do   func(r refuser) error
}

// refusals returns the refusals that the guest can be brought to. It tries them on
// a guest of its own.
func (h *harness) refusals(p *storetest.Probe) (list []refusal) {
	r, _ := h.refuser(p)
	if h.info.MaxKey < abi.MaxKey {
		list = append(list, refusal{"a key that is too large", store.ErrTooLarge,
			func(r refuser) error { return r.set(storetest.Value(3, h.info.MaxKey+1), storetest.Value(1, 20)) }})
	}
	if h.info.MaxValue < abi.MaxValue {
		large := storetest.Value(2, h.info.MaxValue+1)
		list = append(list, refusal{"a value that is too large", store.ErrTooLarge,
			func(r refuser) error { return r.set([]byte("too large"), large) }})
	}
	if h.exports(abi.ExportRestore) {
		torn := abi.AppendRecord(nil, []byte("torn"), storetest.Value(1, 40), 0)
		torn = torn[:len(torn)-1]
		if err := r.restore(torn); !errors.Is(err, store.ErrUnsupported) {
			list = append(list, refusal{"a list that is cut off", store.ErrInvalid, func(r refuser) error { return r.restore(torn) }})
		}
	}
	return list
}

func (r refuser) refuse(x refusal) error {
	err := x.do(r)
	if !errors.Is(err, x.want) {
		r.p.Failf(x.want.Error(), "%s: %s", x.name, outcome(err))
	}
	return err
}

// refusalTests are about what a guest refuses, and what it does afterwards.
func (h *harness) refusalTests() []storetest.Test {
	const nothing = "an operation that answers an error has changed nothing that a later operation could see"
	return []storetest.Test{
		{Name: "export/restore-all-or-nothing", Section: secResults, Requires: nothing + ": session_restore stores a list, or answers NO_SPACE and stores none of it",
			Run: h.restoreAllOrNothing},
		{Name: "export/refused-takes-no-room", Section: secResults, Requires: "NO_SPACE says that there is no room and that none can be made: what TOO_LARGE and INVALID have refused takes none",
			Run: h.refusedTakesNoRoom},
		{Name: "export/after-a-refusal", Section: secResults, Requires: nothing + ": the next one is done like any other",
			Run: h.afterARefusal},
		{Name: "export/messages", Section: secImports, Requires: "fail attaches a message to the error code that the current call is going to return, and to no other",
			Run: h.messagesOfTheirOwn},
		{Name: "export/flush-is-durable", Section: secOptional, Requires: "session_flush returns 0 when every write that was answered before the round began is durable",
			Run: h.flushIsDurable},
	}
}

func (h *harness) restoreAllOrNothing(p *storetest.Probe) {
	switch {
	case !h.exports(abi.ExportRestore):
		p.Skip("the guest does not export " + abi.ExportRestore)
	case h.mounted:
		p.Skip("the guest keeps files: it is not its memory that gets full")
	}
	r, limit := h.refuser(p)
	size := min(16<<10, h.info.MaxValue)
	key := func(i int) []byte { return fmt.Appendf(nil, "key %d", i) }
	body := func(i int) []byte { return storetest.Value(uint64(i+1), size) }
	list := func(turn, n int) (list []byte) {
		for i := range n {
			list = abi.AppendRecord(list, fmt.Appendf(nil, "new %d %d", turn, i), body(1000+i), 0)
			if i == 0 { // over an existing one
				list = abi.AppendRecord(list, key(0), body(2000+turn), 0)
			}
		}
		return list
	}
	// The exchange buffer grows first: it needs room as well, and some guests have
	// only a small one.
	for {
		err := r.restore(list(0, 8))
		if errors.Is(err, store.ErrUnsupported) {
			p.Skip("the guest answers UNSUPPORTED")
		}
		if err == nil {
			break
		}
		if !errors.Is(err, store.ErrNoSpace) {
			p.Fail("session_restore into an empty store: "+err.Error(), "success, or NO_SPACE")
		}
		if size /= 2; size < 64 {
			p.Skip("the guest holds no list of 9 records")
		}
	}
	r.must("session_clear", r.Clear(p.Context(), storetest.Now))
	n, most := 0, int(limit/int64(size))*5/4
	for ; n < most; n++ {
		if err := r.set(key(n), body(n)); errors.Is(err, store.ErrNoSpace) {
			break
		} else if err != nil {
			p.Fail(err.Error(), "success, or NO_SPACE")
		}
	}
	refused := false
	for turn := 1; turn <= 4 && turn < n; turn++ {
		r.must("session_delete", r.Delete(p.Context(), key(n-turn), storetest.Now))
		before, err := r.get(key(0))
		if err != nil {
			p.Skip("the guest makes room: it dropped a record")
		}
		err = r.restore(list(turn, 8))
		if err == nil {
			p.Skip("the guest makes room: it never answered NO_SPACE")
		}
		if !errors.Is(err, store.ErrNoSpace) {
			p.Fail("session_restore of a list for which there is no room: "+err.Error(), "success, or NO_SPACE")
		}
		refused = true
		after := fmt.Sprintf("after NO_SPACE for a list of 9 records, with %d of %d deleted before", turn, n)
		for i := range 8 {
			r.holds(after, fmt.Appendf(nil, "new %d %d", turn, i), nil)
		}
		r.holds(after, key(0), before)
	}
	if !refused {
		p.Skip("there was room for all")
	}
}

func (h *harness) refusedTakesNoRoom(p *storetest.Probe) {
	refusals := h.refusals(p)
	if len(refusals) == 0 {
		p.Skip("the guest describes no limits below those of the host, and does not restore")
	}
	r, _ := h.refuser(p)
	size := min(16<<10, h.info.MaxValue)
	key := func(i int) []byte { return fmt.Appendf(nil, "key %d", i) }
	count := func() (n int) {
		for i := range 24 {
			if err := r.set(key(i), storetest.Value(1, size)); errors.Is(err, store.ErrNoSpace) {
				break
			} else if err != nil {
				p.Fail(err.Error(), "success, or NO_SPACE")
			}
		}
		for i := range 24 {
			if _, err := r.get(key(i)); err == nil {
				n++
			}
			r.must("session_delete", r.Delete(p.Context(), key(i), storetest.Now))
		}
		return n
	}
	fit := count()
	for _, x := range refusals {
		times := 5000
		if x.want == store.ErrTooLarge && h.info.MaxValue > 1<<16 {
			times = min(times, 512<<20/h.info.MaxValue) // it depends on how much is copied
		}
		for range times {
			_ = r.refuse(x)
		}
		if n := count(); 2*n < fit {
			p.Failf(fmt.Sprintf("about %d, as before", fit), "%d of 24 records of %d bytes are held after %s was refused %d times", n, size, x.name, times)
		}
	}
}

func (h *harness) afterARefusal(p *storetest.Probe) {
	refusals := h.refusals(p)
	if len(refusals) == 0 {
		p.Skip("the guest describes no limits below those of the host, and does not restore")
	}
	r, _ := h.refuser(p)
	ctx, key, old, next := p.Context(), []byte("key"), storetest.Value(1, 40), storetest.Value(2, 50)
	for _, x := range refusals {
		after := func(op string) string { return op + " after " + x.name + " was refused" }
		for _, c := range []struct {
			op   string
			do   func() error
			want []byte // under the key, nil for nothing
		}{
			{"session_get", func() error { _, err := r.get(key); return err }, old},
			{"session_set", func() error { return r.set(key, next) }, next},
			{"session_delete", func() error { return r.Delete(ctx, key, storetest.Now) }, nil},
			{"session_clear", func() error { return r.Clear(ctx, storetest.Now) }, nil},
			{"session_save", func() error { return r.Save(ctx, storetest.Now) }, old},
			{"session_touch", func() error { return r.Touch(ctx, key, storetest.Now, storetest.Now) }, nil},
		} {
			if c.op == abi.ExportTouch && !h.exports(c.op) {
				continue // a host does this with session_get, which is replaced here
			}
			r.must("session_set", r.set(key, old))
			r.holds("before a refusal", key, old)
			_ = r.refuse(x)
			r.must(after(c.op), c.do())
			r.holds(after(c.op), key, c.want)
		}
		r.holds("after refusals", []byte("torn"), nil)
		r.holds("after refusals", []byte("too large"), nil)
	}
}

func (h *harness) messagesOfTheirOwn(p *storetest.Probe) {
	if !h.imports(abi.ModuleName, abi.ImportFail) {
		p.Skip("the guest does not import fail")
	}
	message := func(err error) string {
		var answer *plugin.Error
		if errors.As(err, &answer) {
			return answer.Message
		}
		return ""
	}
	all := h.refusals(p)
	if len(all) < 2 {
		p.Skip("the guest cannot be brought to two errors: it describes no limits below those of the host, or does not restore")
	}
	// The message of each one alone, in an instance of its own.
	alone := make([]string, len(all))
	for i, x := range all {
		fresh, _ := h.refuser(p)
		alone[i] = message(fresh.refuse(x))
	}
	r, _ := h.refuser(p)
	for i, x := range all {
		for j, y := range all {
			first, then := message(r.refuse(x)), message(r.refuse(y))
			if i != j && first != "" && then == first && then != alone[j] {
				p.Failf(fmt.Sprintf("the message %q, as alone", alone[j]), "for %s, right after %s, the message %q", y.name, x.name, then)
			}
		}
	}
}

func (h *harness) flushIsDurable(p *storetest.Probe) {
	switch {
	case !h.exports(abi.ExportFlush):
		p.Skip("the guest does not export " + abi.ExportFlush)
	case !h.mounted:
		p.Skip("the guest keeps no files")
	}
	g, dir := h.openDirect(p)
	const n = 14
	key := func(i int) []byte { return fmt.Appendf(nil, "key %d", i) }
	for i := range n {
		if err := g.Set(p.Context(), store.Write{Key: key(i), Value: storetest.Value(uint64(i+1), 40), Now: storetest.Now}); err != nil {
			p.Fail(err.Error(), "success")
		}
	}
	for calls := 0; ; calls++ {
		left, err := g.Get(p.Context(), []byte{directFlush, 8, 0, 0, 0}, storetest.Now)
		if errors.Is(err, store.ErrUnsupported) {
			p.Skip("the guest answers UNSUPPORTED")
		}
		if err != nil {
			p.Fail("session_flush: "+err.Error(), "success")
		}
		if len(left) == 0 {
			break
		}
		if calls > 10*n {
			p.Failf("that the round ends", "%d writes are left after %d calls", len(left), calls)
		}
	}
	// What a host that is killed now leaves behind.
	copied := p.Dir()
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		p.Skip("the directory could not be copied: " + err.Error())
	}
	again, err := h.openModule(p.Context(), h.wasm, h.config(storetest.Setup{Dir: copied, Shards: 1}))
	if err != nil {
		p.Fail("with the files that session_flush left: "+err.Error(), "a plugin that opens")
	}
	p.Cleanup(func() error { return again.Close(p.Context()) })
	for i := range n {
		got, err := again.Get(p.Context(), key(i), storetest.Now)
		if err != nil || string(got) != string(storetest.Value(uint64(i+1), 40)) {
			p.Failf("the value", "after session_flush had returned 0 and the host was killed, session_get of %q: %d bytes, %s", key(i), len(got), outcome(err))
		}
	}
}
