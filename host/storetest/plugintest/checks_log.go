package plugintest

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
)

// logTests are about what a guest writes to the log and to its standard output.
func (h *harness) logTests() []storetest.Test {
	return []storetest.Test{
		{Name: "instance/log-keys", Section: secImports, Requires: "a guest writes keys and values only to its storage: neither to the log nor to its standard output",
			Run: func(p *storetest.Probe) {
				h.needsOpen(p)
				var kept keptLines
				config := h.config(storetest.Setup{Dir: p.Dir(), Shards: 1})
				config.Logger = slog.New(&kept)
				g, err := h.openModule(p.Context(), h.wasm, config)
				if err != nil {
					p.Fail(err.Error(), "a plugin that opens")
				}
				// A write may be refused, or its record evicted: only what the guest says about it
				// counts.
				parts := sayEverything(p.Context(), g, h.info.MaxKey, h.info.MaxValue)
				if err := g.Close(p.Context()); err != nil {
					p.Fail(err.Error(), "success")
				}
				for _, line := range kept.lines {
					for what, part := range parts {
						for form, text := range formsOf(part) {
							if strings.Contains(strings.ToLower(line), strings.ToLower(text)) {
								p.Failf("lines without keys and values", "the line %q, which has %s %q%s", line, what, part, form)
							}
						}
					}
				}
			}},
	}
}

// sayEverything gives a guest good and bad reasons to write to the log. It returns what the log
// must not contain.
func sayEverything(ctx context.Context, g *guest, maxKey, maxValue int) map[string]string {
	const now = storetest.Now
	parts := map[string]string{"the key": "a-key-that-nobody-may-read", "the value": "a-value-that-nobody-may-read"}
	key := func(i int) []byte { return fmt.Appendf(nil, "%s-%d", parts["the key"], i) }
	value := func(i int) []byte { return append(storetest.Value(uint64(i+1), 8), parts["the value"]...) }
	for i := range 60 {
		_ = g.Set(ctx, store.Write{Key: key(i), Value: value(i), Expires: store.Millis(i%3) * (now + 50), Now: now, Expect: int64(i%2) * store.Absent})
		_ = g.Set(ctx, store.Write{Key: key(i), Value: value(i), Now: now, Expect: store.Absent})
		_ = g.Set(ctx, store.Write{Key: key(i), Value: value(i), Now: now, Expect: 1 << 40})
		_, _ = g.Get(ctx, key(i), now)
		_, _ = g.Get(ctx, key(i+1000), now)
		_ = g.Touch(ctx, key(i), now+100, now)
		_ = g.Touch(ctx, key(i+1000), now+100, now)
	}
	_ = g.Set(ctx, store.Write{Key: key(0), Value: append(value(0), make([]byte, min(maxValue, 1<<20)-100)...), Now: now})
	_ = g.Set(ctx, store.Write{Key: append(key(0), make([]byte, maxKey-len(key(0)))...), Value: value(0), Now: now})
	_, _ = g.Sweep(ctx, 100, now+60)
	for range g.Keys(ctx, now) {
	}
	var list []byte
	for r, err := range g.Snapshot(ctx, now) {
		if err == nil {
			list = abi.AppendRecord(list, r.Key, r.Value, int64(r.Expires))
		}
	}
	for i := range 30 {
		_ = g.Delete(ctx, key(i), now)
		_ = g.Delete(ctx, key(i), now)
	}
	_ = g.Save(ctx, now+200)
	_ = g.Restore(ctx, func(yield func(store.Record, error) bool) {
		for rest := list; ; {
			key, value, expires, after, ok := abi.NextRecord(rest)
			if !ok || !yield(store.Record{Key: key, Value: value, Expires: store.Millis(expires)}, nil) {
				return
			}
			rest = after
		}
	}, now)
	_ = g.Clear(ctx, now)
	return parts
}

// formsOf are the ways in which programs usually print bytes, with the words by which a failure
// names each.
func formsOf(part string) map[string]string {
	// For base64, the middle, which is there whatever comes before it.
	encoded := base64.StdEncoding.EncodeToString([]byte(part))
	return map[string]string{"": part, ", in hexadecimal": hex.EncodeToString([]byte(part)), ", in hexadecimal, spaced": fmt.Sprintf("% x", part),
		", in decimal": strings.Trim(fmt.Sprint([]byte(part)), "[]"), ", in base64": encoded[4 : len(encoded)-4]}
}

// keptLines is a log that keeps the lines that the guest itself has written.
type keptLines struct {
	mu    sync.Mutex
	lines []string
}

func (k *keptLines) Enabled(context.Context, slog.Level) bool { return true }

func (k *keptLines) Handle(_ context.Context, r slog.Record) error {
	var b bytes.Buffer
	b.WriteString(r.Message)
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&b, " %s", a)
		return true
	})
	k.mu.Lock()
	defer k.mu.Unlock()
	k.lines = append(k.lines, b.String())
	return nil
}

func (k *keptLines) WithAttrs([]slog.Attr) slog.Handler { return k }
func (k *keptLines) WithGroup(string) slog.Handler      { return k }
