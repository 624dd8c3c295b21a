package session_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// logBook keeps the lines of a logger.
type logBook struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(p)
}

func (l *logBook) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

// take returns the lines since the last call.
func (l *logBook) take(t *testing.T) (lines []map[string]any) {
	t.Helper()
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.out.String()) {
		var m map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &m))
		lines = append(lines, m)
	}
	l.out.Reset()
	return lines
}

func repeated(lines []map[string]any) (n int) {
	for _, line := range lines {
		if again, ok := line["repeated"].(float64); ok {
			n += int(again)
		} else {
			n++
		}
	}
	return n
}

// TestAStoreThatIsDownGivesAHandfulOfLines, and each failure is counted in one
// of them.
func TestAStoreThatIsDownGivesAHandfulOfLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var book logBook
		log := session.LogEvents(book.logger())
		const requests = 60_000
		for i := range requests {
			log(ctx, session.Event{Kind: session.EventUnavailable, Session: fmt.Sprintf("%012x", i),
				Err: fmt.Errorf("%w: dial tcp 10.0.0.1:%d: connection refused", store.ErrUnavailable, i)})
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Hour)
		lines := book.take(t)
		require.LessOrEqual(t, len(lines), 5)
		require.Equal(t, requests, repeated(lines))
		for _, line := range lines {
			require.Equal(t, "ERROR", line["level"])
			require.Equal(t, "session unavailable", line["msg"])
			require.Contains(t, line["error"], "connection refused")
		}
		last := lines[len(lines)-1]
		require.NotContains(t, last, "session", "they were of many")
		require.Contains(t, last, "within")

		// After a long enough pause, the next failure is news again.
		log(ctx, session.Event{Kind: session.EventUnavailable, Err: store.ErrUnavailable})
		require.Len(t, book.take(t), 1)
	})
}

// TestOneRecordThatWarnsForDaysIsThinned to fewer and fewer lines.
func TestOneRecordThatWarnsForDaysIsThinned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var book logBook
		log := session.LogEvents(book.logger())
		e := session.Event{Kind: session.EventCorrupt, Session: "0123456789ab", Err: session.ErrDecode}
		n := 0
		for range 3 * 24 * 60 * 6 {
			log(ctx, e)
			n++
			time.Sleep(10 * time.Second)
		}
		time.Sleep(2 * time.Hour)
		lines := book.take(t)
		require.Equal(t, n, repeated(lines))
		require.Less(t, len(lines), 3*24+10, "an hour is the longest that nothing is said")
		require.Greater(t, len(lines), 3*24)
		for _, line := range lines {
			require.Equal(t, "0123456789ab", line["session"])
		}
	})
}

// TestOnlyWhatIsTheSameIsThinned: other kinds, other reasons, some other
// sessions, and events that are not failures are written at once.
func TestOnlyWhatIsTheSameIsThinned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var book logBook
		log := session.LogEvents(book.logger())
		for _, e := range []session.Event{
			{Kind: session.EventUnavailable, Err: store.ErrUnavailable},
			{Kind: session.EventFailed, Err: store.ErrUnavailable},
			{Kind: session.EventUnavailable, Err: store.ErrNoSpace},
			{Kind: session.EventCorrupt, Session: "a", Err: session.ErrDecode},
			{Kind: session.EventCorrupt, Session: "b", Err: session.ErrDecode},
		} {
			log(ctx, e)
			require.Len(t, book.take(t), 1, "%v", e)
			log(ctx, e)
			require.Empty(t, book.take(t), "%v", e)
		}
		for range 50 {
			log(ctx, session.Event{Kind: session.EventRenewed, Session: "a", Previous: "b", User: "c"})
		}
		lines := book.take(t)
		require.Len(t, lines, 50, "an audit has each")
		require.Equal(t, map[string]any{"level": "INFO", "msg": "session renewed", "session": "a", "previous": "b", "user": "c"}, lines[0])
		time.Sleep(time.Hour)
		require.Equal(t, 5, repeated(book.take(t)))
	})
}

// TestThinningHoldsItsMemory, whatever the reasons are.
func TestThinningHoldsItsMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var book logBook
		log := session.LogEvents(book.logger())
		word := func(i int) string {
			return strings.Map(func(r rune) rune { return r - '0' + 'a' }, fmt.Sprintf("%05d", i))
		}
		for i := range 10_000 {
			log(ctx, session.Event{Kind: session.EventUnavailable, Session: word(i), Err: errors.New(word(i))})
		}
		lines := book.take(t)
		require.Less(t, len(lines), 70)
		time.Sleep(time.Hour)
		require.Equal(t, 10_000, repeated(append(lines, book.take(t)...)))
	})
}

// TestTheDefaultThinsForEachManager: many requests go through a manager whose
// storage is down.
func TestTheDefaultThinsForEachManager(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var book logBook
		before := slog.Default()
		slog.SetDefault(book.logger())
		t.Cleanup(func() { slog.SetDefault(before) })
		s := &spy{Store: store.NewMemory()}
		m, err := session.New(s, session.Settings{})
		require.NoError(t, err)
		s.fail(on("get", store.ErrUnavailable), nil)
		id := strings.Repeat("A", 43)
		for range 1000 {
			_, err := m.Session(ctx, id).Has("user")
			require.ErrorIs(t, err, store.ErrUnavailable)
		}
		require.Len(t, book.take(t), 1)
		time.Sleep(time.Hour)
		require.Equal(t, 999, repeated(book.take(t)))
	})
}

// TestThinningIsSafeForManyGoroutines and loses no event.
func TestThinningIsSafeForManyGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var book logBook
		log := session.LogEvents(book.logger())
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for i := range 500 {
					log(ctx, session.Event{Kind: session.EventGone, Session: fmt.Sprint(g), Err: session.ErrGone})
					time.Sleep(time.Duration(i+g) * time.Millisecond)
				}
			})
		}
		wg.Wait()
		time.Sleep(3 * time.Hour)
		require.Equal(t, 4000, repeated(book.take(t)))
	})
}
