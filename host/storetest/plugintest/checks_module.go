package plugintest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
)

// The sections of abi/SPEC.md that checks are about.
const (
	secModule   = "1. The module"
	secLife     = "2. Life of an instance"
	secMemory   = "3. Memory and ownership"
	secResults  = "4. Results and codes"
	secRequired = "7. Required exports"
	secOptional = "8. Optional exports"
	secConfig   = "9. Config"
	secImports  = "10. Imports"
	secLimits   = "11. Limits"
	secShards   = "12. Shards and files"
	secCopying  = "13. Copying a guest"
	secVersions = "14. Versions"
)

func (h *harness) tests() []storetest.Test {
	return slices.Concat(h.moduleTests(), h.configTests(), h.exportTests(), h.refusalTests(), h.goOnTests(), h.instanceTests(),
		h.copyTests(), h.logTests(), h.shardsTests(), h.remoteTests(), h.batchTests(), h.idleTests(), h.memoryTests())
}

var requiredExports = []string{abi.ExportAlloc, abi.ExportOpen, abi.ExportGet, abi.ExportSet, abi.ExportDelete, abi.ExportClear, abi.ExportSave}

// moduleTests check the module before any of its code runs.
func (h *harness) moduleTests() []storetest.Test {
	// refusedFor fails the check if the host refuses the module for one of
	// these reasons.
	refusedFor := func(p *storetest.Probe, expected string, kinds ...error) {
		if h.refused == nil {
			return
		}
		for _, kind := range kinds {
			if errors.Is(h.refused, kind) {
				p.Fail(h.refused.Error(), expected)
			}
		}
		p.Skip("the module is refused for another reason")
	}
	return []storetest.Test{
		{Name: "module/valid", Section: secModule,
			Requires: "a guest is one core WebAssembly module with one memory, without a start section and without features that are not listed",
			Run: func(p *storetest.Probe) {
				refusedFor(p, "a module that the host takes", plugin.ErrModule, plugin.ErrFeature, plugin.ErrLimits)
			}},
		{Name: "module/marker", Section: secVersions, Requires: "a module that exports session_abi_v1 implements version 1",
			Run: func(p *storetest.Probe) {
				refusedFor(p, "the export session_abi_v1 () -> ()", plugin.ErrNotPlugin, plugin.ErrVersion)
			}},
		{Name: "module/exports", Section: secRequired, Requires: "a guest has all of the required exports",
			Run: func(p *storetest.Probe) {
				if h.outline == nil {
					p.Skip("the module is refused for another reason")
				}
				var missing []string
				for _, name := range append([]string{abi.ExportMemory}, requiredExports...) {
					if h.outline.Export(name) == nil {
						missing = append(missing, name)
					}
				}
				if len(missing) > 0 {
					p.Fail("the module does not export "+strings.Join(missing, ", "), "each of "+strings.Join(requiredExports, ", ")+" and the memory")
				}
			}},
		{Name: "module/signatures", Section: secRequired, Requires: "every export has the signature in the specification",
			Run: func(p *storetest.Probe) {
				if h.outline != nil {
					for _, name := range append([]string{abi.ExportMemory}, requiredExports...) {
						if h.outline.Export(name) == nil {
							p.Skip("an export is missing")
						}
					}
				}
				refusedFor(p, "the signature of the specification", plugin.ErrExport)
			}},
		{Name: "module/imports", Section: secImports, Requires: "a module imports only what is listed there",
			Run: func(p *storetest.Probe) {
				refusedFor(p, "imports that the specification lists", plugin.ErrImport)
			}},
		{Name: "module/describes", Section: secOptional, Requires: "session_describe returns a list of pairs, with numbers that are at least what every guest must take",
			Run: func(p *storetest.Probe) {
				err := h.opens(p)
				if strings.Contains(err.Error(), abi.ExportDescribe) || strings.Contains(err.Error(), "describe") {
					p.Fail(err.Error(), "a description as in the table there")
				}
			}},
		{Name: "module/opens", Section: secLife, Requires: "an instance is initialised, describes itself and opens without an error",
			Run: func(p *storetest.Probe) {
				if err := h.opens(p); err != errNone {
					p.Fail(err.Error(), "a plugin that opens")
				}
			}},
		{Name: "module/shards", Section: secConfig, Requires: "the number of instances is a power of two",
			Run: func(p *storetest.Probe) {
				records := recordsFor(p, 50, 1, 2, 4, 8)
				for _, n := range []int{1, 2, 4, 8} {
					s := p.Open(storetest.Setup{Shards: n})
					for i := range records {
						s.Put(fmt.Appendf(nil, "key %d", i), storetest.Value(uint64(i+1), 30))
					}
					for i := range records {
						s.Get(fmt.Appendf(nil, "key %d", i), storetest.Now, storetest.Value(uint64(i+1), 30))
					}
					s.Close()
				}
			}},
		{Name: "module/unknown-setting", Section: secConfig, Requires: "a guest should refuse a setting that it does not know, with INVALID and a message that names it",
			Run: func(p *storetest.Probe) {
				const name = "no_such_setting_for_any_guest"
				h.needsOpen(p)
				config := h.config(storetest.Setup{Dir: p.Dir(), Shards: 1})
				config.GuestConfig[name] = "1"
				g, err := h.openModule(p.Context(), h.wasm, config)
				if err == nil {
					_ = g.Close(p.Context())
					p.Skip("the guest takes a setting that it cannot know: this is allowed, but a misspelt setting is not found")
				}
				var answer *plugin.Error
				if !errors.As(err, &answer) || answer.Kind != nil || answer.Code != abi.Invalid {
					p.Fail("with the setting "+name+": "+err.Error(), "INVALID")
				}
				if h.imports(abi.ModuleName, abi.ImportFail) && !strings.Contains(answer.Message, name) {
					p.Failf("a message that names "+name, "INVALID with the message %q", answer.Message)
				}
			}},
		{Name: "module/host-setting", Section: secConfig, Requires: "a guest must ignore unknown names that begin with host_",
			Run: func(p *storetest.Probe) {
				h.needsOpen(p)
				// The name gets the host's prefix only on its way: a host does not let
				// its user set it.
				config := h.config(storetest.Setup{Dir: p.Dir(), Shards: 1})
				const name = "host0later"
				offset := len("host")
				for other, value := range config.GuestConfig {
					if other < name {
						offset += len(other) + len(value) + 2
					}
				}
				config.GuestConfig[name] = "1"
				wasm, err := withBytes(h.wasm, []int{offset}, '_')
				if err != nil {
					p.Skip(err.Error())
				}
				g, err := h.openModule(p.Context(), wasm, config)
				if err != nil {
					p.Fail("with the setting host_later: "+err.Error(), "a plugin that opens")
				}
				if err := g.Close(p.Context()); err != nil {
					p.Fail(err.Error(), "success")
				}
			}},
	}
}

var errNone = errors.New("none")

// opens opens and closes the guest and returns why that failed, or errNone. It skips the
// check if the module is refused.
func (h *harness) opens(p *storetest.Probe) error {
	if h.refused != nil {
		p.Skip("the module is refused")
	}
	g, err := h.openModule(p.Context(), h.wasm, h.config(storetest.Setup{Dir: p.Dir()}))
	if err == nil {
		err = g.Close(p.Context())
	}
	if err == nil {
		return errNone
	}
	return err
}

// needsOpen skips the check if the guest does not open as it is.
func (h *harness) needsOpen(p *storetest.Probe) {
	if !h.opened {
		p.Skip("it does not open")
	}
}

func (h *harness) imports(module, name string) bool {
	for _, i := range h.outline.Imports {
		if i.Module == module && i.Name == name {
			return true
		}
	}
	return false
}

func (h *harness) exports(name string) bool { return h.outline != nil && h.outline.Export(name) != nil }

// openDirect opens the module that passes on calls of get, in a new directory, which it
// also returns.
func (h *harness) openDirect(p *storetest.Probe) (*plugin.Plugin, string) {
	h.needsDirect(p)
	dir := p.Dir()
	g, err := h.openModule(p.Context(), h.direct, h.config(storetest.Setup{Dir: dir, Shards: 1}))
	if err != nil {
		p.Fail("without its description: "+err.Error(), "a plugin that opens")
	}
	p.Cleanup(func() error { return g.Close(p.Context()) })
	return g.Plugin, dir
}

// needsDirect makes the module that passes on calls, or skips the check.
func (h *harness) needsDirect(p *storetest.Probe) {
	h.needsOpen(p)
	if h.direct != nil {
		return
	}
	wasm, err := direct(h.wasm)
	if err != nil {
		p.Skip(err.Error())
	}
	h.direct = wasm
	h.keep(p.Context(), wasm)
}

// exportTests call exports in ways in which the host does not.
func (h *harness) exportTests() []storetest.Test {
	open := func(p *storetest.Probe) *plugin.Plugin {
		g, _ := h.openDirect(p)
		return g
	}
	get := func(p *storetest.Probe, g *plugin.Plugin, selector byte, rest []byte) ([]byte, error) {
		return g.Get(p.Context(), append([]byte{selector}, rest...), storetest.Now)
	}
	set := func(p *storetest.Probe, g *plugin.Plugin, key, value []byte) error {
		return g.Set(p.Context(), store.Write{Key: key, Value: value, Now: storetest.Now})
	}
	return []storetest.Test{
		{Name: "export/delete-of-nothing", Section: secRequired, Requires: "session_delete of a key under which there is no record is success",
			Run: func(p *storetest.Probe) {
				g := open(p)
				if _, err := get(p, g, directDelete, []byte("absent")); err != nil {
					p.Fail("session_delete of the key \"absent\" in an empty store: "+err.Error(), "success")
				}
			}},
		{Name: "export/limits-of-its-own", Section: secLimits, Requires: "a guest that describes a limit answers TOO_LARGE above it, and changes nothing",
			Run: func(p *storetest.Probe) {
				if h.info.MaxKey >= abi.MaxKey && h.info.MaxValue >= abi.MaxValue {
					p.Skip("the guest describes no limits below those of the host")
				}
				g := open(p)
				kept := storetest.Value(1, 50)
				if err := set(p, g, []byte("key"), kept); err != nil {
					p.Fail(err.Error(), "success")
				}
				refused := func(what string, err error) {
					if !errors.Is(err, store.ErrTooLarge) {
						p.Failf("TOO_LARGE", "session_set with %s: %s", what, outcome(err))
					}
				}
				if h.info.MaxValue < abi.MaxValue {
					n := h.info.MaxValue + 1
					refused(fmt.Sprintf("a value of %d bytes, where the largest is %d", n, n-1), set(p, g, []byte("key"), storetest.Value(2, n)))
					if got, err := get(p, g, directGet, []byte("key")); err != nil || string(got) != string(kept) {
						p.Failf("the value unchanged", "the existing record, after TOO_LARGE: %d bytes, %s", len(got), outcome(err))
					}
				}
				if n := h.info.MaxKey + 1; n <= abi.MaxKey {
					refused(fmt.Sprintf("a key of %d bytes, where the largest is %d", n, n-1), set(p, g, storetest.Value(3, n), kept))
				}
			}},
		{Name: "export/restore-of-what-is-no-list", Section: secOptional, Requires: "session_restore answers INVALID if the list is not well formed, and has changed nothing",
			Run: func(p *storetest.Probe) {
				if !h.exports(abi.ExportRestore) {
					p.Skip("the guest does not export " + abi.ExportRestore)
				}
				g := open(p)
				if _, err := get(p, g, directRestore, nil); errors.Is(err, store.ErrUnsupported) {
					p.Skip("the guest answers UNSUPPORTED")
				}
				list := abi.AppendRecord(nil, []byte("first"), storetest.Value(1, 20), 0)
				whole := abi.AppendRecord(list, []byte("second"), storetest.Value(2, 30), int64(storetest.Now+1000))
				huge := abi.AppendRecord(nil, []byte("key"), []byte("value"), 0)
				copy(huge, "\xff\xff\xff\xff\xff\xff\xff\xff")
				wraps := abi.AppendRecord(nil, []byte("key"), []byte("value"), 0)
				copy(wraps, "\x00\x00\x00\x80\x00\x00\x00\x80")
				lists := [][]byte{huge, wraps, append(slices.Clone(list), 0)}
				for n := range whole {
					if n != 0 && n != len(list) {
						lists = append(lists, whole[:n])
					}
				}
				for _, l := range lists {
					if _, err := get(p, g, directRestore, l); !errors.Is(err, store.ErrInvalid) {
						p.Failf("INVALID", "session_restore of the %d bytes % x: %s", len(l), l, outcome(err))
					}
					for _, key := range []string{"first", "second", "key"} {
						if _, err := get(p, g, directGet, []byte(key)); !errors.Is(err, store.ErrNotFound) {
							p.Failf("that nothing of it is stored", "after INVALID for the %d bytes % x, get of %q: %s", len(l), l, key, outcome(err))
						}
					}
				}
				if _, err := get(p, g, directRestore, whole); err != nil {
					p.Fail("session_restore of the whole list: "+err.Error(), "success")
				}
				if got, err := get(p, g, directGet, []byte("second")); err != nil || string(got) != string(storetest.Value(2, 30)) {
					p.Failf("the value", "a record of the whole list: %d bytes, %s", len(got), outcome(err))
				}
			}},
		{Name: "export/sweep-counts", Section: secOptional, Requires: "session_sweep looks at about max records, and returns how many it removed",
			Run: func(p *storetest.Probe) {
				if !h.exports(abi.ExportSweep) {
					p.Skip("the guest does not export " + abi.ExportSweep)
				}
				g := open(p)
				const most = 8
				n := p.Records(200, 2*most)
				for i := range n {
					w := store.Write{Key: fmt.Appendf(nil, "key %d", i), Value: storetest.Value(1, 20), Expires: storetest.Now, Now: storetest.Now - 1}
					if err := g.Set(p.Context(), w); err != nil {
						p.Fail(err.Error(), "success")
					}
				}
				total := 0
				for range 50_000 {
					got, err := get(p, g, directSweep, []byte{most, 0, 0, 0})
					if errors.Is(err, store.ErrUnsupported) {
						p.Skip("the guest answers UNSUPPORTED")
					}
					if err != nil {
						p.Fail("session_sweep: "+err.Error(), "success")
					}
					// "About" is read generously: a guest may work in pages or shelves.
					if len(got) > max(n/2, 2*most) {
						p.Failf("about 8", "%d records removed by one call with max %d, of %d that have expired", len(got), most, n)
					}
					if total += len(got); total >= n {
						break
					}
				}
				if total != n {
					p.Failf(fmt.Sprintf("%d, as many as had expired", n), "%d records removed by many calls with max %d", total, most)
				}
			}},
		{Name: "export/flush-ends", Section: secOptional, Requires: "each call of session_flush makes about max of the writes durable, and returns about how many are left; writes made meanwhile may be left to the next round",
			Run: func(p *storetest.Probe) {
				if !h.exports(abi.ExportFlush) {
					p.Skip("the guest does not export " + abi.ExportFlush)
				}
				g := open(p)
				const most = 8
				n := p.Records(400, 8*most) / 2 // as many again are written meanwhile
				set := func(i int) {
					w := store.Write{Key: fmt.Appendf(nil, "key %d", i), Value: storetest.Value(1, 20), Now: storetest.Now}
					if err := g.Set(p.Context(), w); err != nil {
						p.Fail(err.Error(), "success")
					}
				}
				for i := range n {
					set(i)
				}
				for _, meanwhile := range []int{0, 2 * most} {
					written, before := n, n
					for calls := 0; ; calls++ {
						left, err := get(p, g, directFlush, []byte{most, 0, 0, 0})
						if errors.Is(err, store.ErrUnsupported) {
							p.Skip("the guest answers UNSUPPORTED")
						}
						if err != nil {
							p.Fail("session_flush: "+err.Error(), "success")
						}
						if len(left) == 0 {
							break
						}
						// Other operations wait while it runs. "About" is read
						// generously, as for sweeps.
						if before-len(left) > n/2 {
							p.Failf("about 8", "%d of %d writes made durable by one call with max %d", before-len(left), before, most)
						}
						if before = len(left); calls > 10*n {
							p.Failf("that the round ends", "%d writes are left after %d calls with max %d, and %d writes between two calls", len(left), calls, most, meanwhile)
						}
						for range meanwhile {
							set(written)
							written = n + (written+1)%n
						}
					}
				}
				for i := range n {
					if _, err := get(p, g, directGet, fmt.Appendf(nil, "key %d", i)); err != nil {
						p.Fail("session_get after it was flushed: "+err.Error(), "the value")
					}
				}
			}},
	}
}

func outcome(err error) string {
	if err == nil {
		return "success"
	}
	return err.Error()
}
