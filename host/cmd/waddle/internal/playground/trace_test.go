package playground_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/session/sessiontest"
	"github.com/waddle-sessions/waddle/host/store"
)

// timing is an entry of a Server-Timing header.
type timing struct {
	name, desc string
	dur        float64
}

func timings(t *testing.T, a answer) (all []timing) {
	t.Helper()
	header := a.Header.Get("Server-Timing")
	form := regexp.MustCompile(`^([a-z]+)(?:;dur=(\d+\.\d{4}))?(?:;desc="([^"]*)")?(?:, |$)`)
	for rest := header; rest != ""; {
		m := form.FindStringSubmatch(rest)
		require.NotNil(t, m, "%s", rest)
		var dur float64
		if m[2] != "" {
			var err error
			dur, err = strconv.ParseFloat(m[2], 64)
			require.NoError(t, err)
		}
		all = append(all, timing{m[1], m[3], dur})
		rest = rest[len(m[0]):]
	}
	return all
}

// told returns the trace without its durations, which are checked separately.
func told(t *testing.T, a answer) (all []string) {
	t.Helper()
	var calls, engine, total float64
	for _, e := range timings(t, a) {
		switch e.name {
		case "total":
			total = e.dur
			continue
		case "engine":
			engine = e.dur
		case "session":
		default:
			calls += e.dur
		}
		all = append(all, strings.TrimSpace(e.name+" "+e.desc))
	}
	require.InDelta(t, engine, calls, 0.01, "the engine's time is that of its calls")
	require.GreaterOrEqual(t, total, engine)
	return all
}

func TestTrace(t *testing.T) {
	onStores(t, func(t *testing.T, s store.Store) {
		v := visit(t, serve(t, s))
		require.Equal(t, []string{"engine 0 calls"}, told(t, v.ok("GET", "/api/session", "")))
		require.Equal(t, []string{"set stored, 77 bytes", "session created", "engine 1 call"}, told(t, v.ok("PUT", "/api/session/ab", "1")))
		require.Equal(t, []string{"get found, 77 bytes", "engine 1 call"}, told(t, v.ok("GET", "/api/session", "")))
		require.Equal(t, []string{"get found, 77 bytes", "set stored, 77 bytes", "engine 2 calls"}, told(t, v.ok("POST", "/api/session/ab/increment", "")))
		login := told(t, v.ok("POST", "/api/login", `{"user":"x"}`))
		require.Equal(t, "get found, 77 bytes", login[0])
		require.Contains(t, login, "session renewed")
		old := v.id()
		require.Contains(t, told(t, v.ok("POST", "/api/logout", "")), "session destroyed")
		require.Equal(t, []string{"get found, 72 bytes", "engine 1 call"}, told(t, v.with(old).ok("GET", "/api/session", "")), "what is left of it")
		require.Equal(t, []string{"session rejected", "engine 0 calls"}, told(t, v.with("junk").ok("GET", "/api/session", "")))
		require.Equal(t, []string{"engine 0 calls"}, told(t, v.do("GET", "/api/nowhere", "")))
		require.Equal(t, []string{"engine 0 calls"}, told(t, v.do("POST", "/api/logout", "", "Sec-Fetch-Site", "cross-site")))
	})
}

// The trace names the bound that a plugin exceeded.
func TestTraceNamesBounds(t *testing.T) {
	for kind, says := range map[error]string{
		plugin.ErrFuel: "out of fuel", plugin.ErrDepth: "calls too deep", plugin.ErrRate: "too much fuel per second",
		plugin.ErrDeadline: "past its deadline", plugin.ErrTrap: "unavailable",
	} {
		s := sessiontest.NewStore(store.NewMemory())
		v := visit(t, serve(t, s))
		v.ok("PUT", "/api/session/n", "1")
		s.Fail(fmt.Errorf("wrapped: %w", &plugin.Error{Kind: kind}))
		require.Equal(t, "get "+says, told(t, v.do("GET", "/api/session", ""))[0])
	}
}

// All of many calls are counted, and as many listed as a header allows.
func TestTraceOfManyCalls(t *testing.T) {
	s := &contested{Store: store.NewMemory()}
	v := visit(t, serve(t, s))
	v.ok("PUT", "/api/session/n", "1")
	s.conflicts = 60
	a := v.ok("POST", "/api/session/n/increment", "")
	var listed, conflicts int
	for _, e := range timings(t, a) {
		switch e.name {
		case "get", "set":
			listed++
		case "session":
			conflicts++
		case "engine":
			require.Equal(t, "122 calls", e.desc)
		}
	}
	require.Equal(t, 32, listed)
	require.Equal(t, 32, conflicts)
	require.Equal(t, "2", v.values()["n"])
}

// contested is a store in which others are always a little faster.
type contested struct {
	store.Store
	conflicts int
}

func (s *contested) Set(ctx context.Context, w store.Write) error {
	if s.conflicts > 0 {
		s.conflicts--
		return store.ErrConflict
	}
	return s.Store.Set(ctx, w)
}

func TestCookieHeaders(t *testing.T) {
	v := visit(t, serve(t, store.NewMemory()))
	a := v.ok("GET", "/api/session", "")
	require.Empty(t, a.Header.Values("Waddle-Cookie-Received"))
	require.Empty(t, a.Header.Values("Waddle-Cookie-Set"))

	a = v.ok("PUT", "/api/session/k", "1")
	id := v.id()
	set := a.Header.Get("Set-Cookie")
	require.Contains(t, set, id)
	require.Equal(t, strings.Replace(set, id, id[:6]+"...", 1), a.Header.Get("Waddle-Cookie-Set"))
	require.Empty(t, a.Header.Get("Waddle-Cookie-Received"))

	a = v.ok("GET", "/api/session", "")
	require.Equal(t, "session_id="+id[:6]+"...", a.Header.Get("Waddle-Cookie-Received"))
	require.Empty(t, a.Header.Get("Waddle-Cookie-Set"))
	require.NotContains(t, fmt.Sprint(a.Header)+a.text, id)

	a = v.ok("POST", "/api/logout", "")
	require.Regexp(t, `^session_id=; Path=/; .*Max-Age=0`, a.Header.Get("Waddle-Cookie-Set"))
	require.NotContains(t, fmt.Sprint(a.Header)+a.text, id)

	require.Equal(t, "session_id=...", v.with("abc").ok("GET", "/api/session", "").Header.Get("Waddle-Cookie-Received"))
}

// A caller's own OnEvent gets every event that the trace gets.
func TestEventsReachTheCaller(t *testing.T) {
	var kinds []session.EventKind
	v := visit(t, serve(t, store.NewMemory(), func(s *session.Settings) {
		s.OnEvent = func(_ context.Context, e session.Event) { kinds = append(kinds, e.Kind) }
	}))
	v.ok("PUT", "/api/session/k", "1")
	v.ok("POST", "/api/login", `{"user":"ada"}`)
	v.ok("POST", "/api/logout", "")
	require.Equal(t, []session.EventKind{session.EventCreated, session.EventRenewed, session.EventDestroyed}, kinds)
}

func TestTraceOfFailures(t *testing.T) {
	s := sessiontest.NewStore(store.NewMemory())
	v := visit(t, serve(t, s))
	v.ok("PUT", "/api/session/k", "1")
	s.Fail(fmt.Errorf("at db.internal: %w", store.ErrUnavailable), sessiontest.Get)
	a := v.do("GET", "/api/session", "")
	require.Equal(t, 503, a.StatusCode)
	require.Equal(t, []string{"get unavailable", "session unavailable", "engine 1 call"}, told(t, a))
	s.Fail(store.ErrInternal, sessiontest.Get)
	require.Equal(t, []string{"get internal", "session unavailable", "engine 1 call"}, told(t, v.do("GET", "/api/session", "")))
	s.Fail(store.ErrNoSpace, sessiontest.Get)
	require.Equal(t, []string{"get no space", "session unavailable", "engine 1 call"}, told(t, v.do("GET", "/api/session", "")))
	s.Fail(errors.New("of nobody's"), sessiontest.Get)
	require.Equal(t, []string{"get failed", "session unavailable", "engine 1 call"}, told(t, v.do("GET", "/api/session", "")))
}

// A storage that is down does not fill the disk with log lines.
func TestFailuresInTheLog(t *testing.T) {
	for what, err := range map[string]error{
		"may pass":         fmt.Errorf("at db.internal: %w", store.ErrUnavailable),
		"has to be mended": store.ErrInternal,
	} {
		t.Run(what, func(t *testing.T) {
			var text bytes.Buffer
			before := slog.Default()
			slog.SetDefault(slog.New(slog.NewTextHandler(&text, nil)))
			t.Cleanup(func() { slog.SetDefault(before) })
			s := sessiontest.NewStore(store.NewMemory())
			v := visit(t, serve(t, s))
			v.ok("PUT", "/api/session/k", "1")
			s.Fail(err, sessiontest.Get)
			for range 100 {
				require.GreaterOrEqual(t, v.do("GET", "/api/session", "").StatusCode, 500)
			}
			lines := strings.Count(text.String(), "\n")
			require.Positive(t, lines)
			require.LessOrEqual(t, lines, 8, "%s", &text)
			require.Contains(t, text.String(), err.Error())
		})
	}
}
