package adapttest

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// basics are what every framework must do. They have no columns in the table.
var basics = []struct {
	name  string
	check func(*bench)
}{
	{"a life of a session", func(b *bench) { b.startNative(Options{}); b.life() }},
	{"a life of a session in a plugin", func(b *bench) { b.start(engine(), Options{}); b.life() }},
	{"an untouched session costs nothing", (*bench).untouched},
	{"whatever the answer, the session is saved before", (*bench).answers},
	{"routes without sessions and paths that are not found", (*bench).bare},
	{"a panic saves nothing", (*bench).panics},
	{"a storage that fails", (*bench).failing},
	{"an error of a handler", (*bench).handlerError},
	{"the logger sees what the client gets", (*bench).logger},
	{"a late look fails", (*bench).lateLook},
	{"requests at the same time", (*bench).concurrent},
}

// engine is a WebAssembly engine for all tests of a program, which ends with it.
var engine = sync.OnceValue(func() store.Store {
	e, err := memory.Open(context.Background(), plugin.Config{})
	if err != nil {
		panic(err)
	}
	return e
})

// life begins a session, logs in, which gives it a new id, and logs out.
func (b *bench) life() {
	v := b.visitor()
	r := v.get("/get")
	require.Equal(b, http.StatusOK, r.StatusCode)
	require.Empty(b, r.body)
	require.Empty(b, v.cookie, "reading begins no session")
	b.requirePersonal(r.Response)

	r = v.post("/set?value=first")
	require.Equal(b, http.StatusCreated, r.StatusCode)
	require.Equal(b, "set", r.body)
	b.requireNew(r.Response)
	r = v.get("/get")
	require.Equal(b, "first", r.body)
	b.requirePersonal(r.Response)
	require.Empty(b, r.Header["Set-Cookie"], "the client has the cookie")

	before := *v
	r = v.post("/log-in?user=ada")
	b.requireNew(r.Response)
	require.NotEqual(b, before.cookie, v.cookie, "a log-in renews the id")
	require.Equal(b, "ada", v.get("/who").body)
	require.Equal(b, "first", v.get("/get").body)
	old := before
	require.Empty(b, old.get("/who").body, "the old id reaches nothing")
	sessions, err := b.sessions.UserSessions(context.Background(), "ada")
	require.NoError(b, err)
	require.Len(b, sessions, 1)

	in := *v
	r = v.post("/log-out")
	require.Equal(b, "out", r.body)
	require.Empty(b, v.cookie, "a log-out removes the cookie")
	require.Empty(b, in.get("/who").body, "a log-out ends the session")
	require.NoError(b, b.errorsOf(session.EventFailed))
}

func (b *bench) untouched() {
	b.startNative(Options{})
	v := b.visitor()
	v.post("/set?value=x")
	calls := b.store.Calls()
	r := v.get("/untouched")
	require.Equal(b, "untouched", r.body)
	b.requireAnybodys(r.Response)
	require.Equal(b, calls, b.store.Calls(), "calls of the storage")
}

func (b *bench) answers() {
	b.startNative(Options{})
	for path, want := range map[string]struct {
		status int
		body   string
	}{
		"text": {http.StatusAccepted, "text"}, "json": {http.StatusCreated, "1"}, "empty": {http.StatusNoContent, ""},
		"redirect": {http.StatusSeeOther, "*"}, "file": {http.StatusOK, strings.TrimSpace(fileText)}, "nothing": {http.StatusOK, ""},
	} {
		v := b.visitor()
		r := v.get("/answer/" + path)
		require.Equal(b, want.status, r.StatusCode, path)
		if want.body != "*" {
			require.Equal(b, want.body, strings.TrimSpace(r.body), path)
		}
		b.requireNew(r.Response)
		v.requireStored("answered")
	}
	require.NoError(b, b.errorsOf(session.EventFailed))
}

func (b *bench) bare() {
	b.startNative(Options{})
	v := b.visitor()
	v.post("/set?value=x")
	r := v.get("/bare")
	require.Equal(b, "bare", r.body)
	b.requireAnybodys(r.Response)
	r = v.get("/no/such/path")
	require.Equal(b, http.StatusNotFound, r.StatusCode)
	b.requireAnybodys(r.Response)
	require.Equal(b, "x", v.get("/get").body)
}

func (b *bench) panics() {
	b.startNative(Options{})
	v := b.visitor()
	r := v.post("/panic")
	require.Equal(b, http.StatusInternalServerError, r.StatusCode)
	require.Empty(b, r.Header["Set-Cookie"])
	v.post("/set?value=before")
	v.post("/panic")
	v.requireStored("before")
}

// failing: the handler's own answer is not sent, since it would report success.
func (b *bench) failing() {
	b.startNative(Options{})
	v := b.visitor()
	v.post("/set?value=before")
	for _, c := range []struct {
		name         string
		op           []store.Op
		method, path string
	}{
		{"on a read that the middleware answers for", []store.Op{store.OpGet}, http.MethodGet, "/get"},
		{"on a read that the handler answers for", []store.Op{store.OpGet}, http.MethodGet, "/who"},
		{"on the save before the response", []store.Op{store.OpSet}, http.MethodPost, "/set?value=after"},
		{"on a save within the handler", []store.Op{store.OpSet}, http.MethodPost, "/count"},
	} {
		b.store.Fail(store.ErrUnavailable, c.op...)
		r := v.send(c.method, c.path, nil)
		b.store.Fail(nil)
		require.GreaterOrEqual(b, r.StatusCode, 500, c.name)
		require.NotContains(b, []string{"set", "before"}, r.body, c.name)
		require.False(b, hasWord(r.Header, "Cache-Control", "public"), c.name)
	}
	for _, path := range []string{"/get", "/set?value=after"} {
		b.store.Fail(store.ErrUnavailable)
		method := http.MethodGet
		if strings.HasPrefix(path, "/set") {
			method = http.MethodPost
		}
		r := v.send(method, path, nil)
		b.store.Fail(nil)
		require.Equal(b, http.StatusServiceUnavailable, r.StatusCode, path)
		require.NotEmpty(b, r.Header.Get("Retry-After"), path)
		require.NotEmpty(b, r.body, "an error page says something")
	}
	require.Error(b, b.errorsOf(session.EventUnavailable), "an event tells of a storage that fails")
	require.Equal(b, "before", v.get("/get").body)
}

func (b *bench) handlerError() {
	b.startNative(Options{})
	v := b.visitor()
	v.post("/set?value=before")
	r := v.get("/fail")
	require.GreaterOrEqual(b, r.StatusCode, 400)
	require.NotContains(b, r.body, "before")
	require.Equal(b, "before", v.get("/get").body)
}

func (b *bench) logger() {
	b.startNative(Options{})
	v := b.visitor()
	logged := func() (last logLine, n int) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if n = len(b.logged); n > 0 {
			last = b.logged[n-1]
		}
		return last, n
	}
	want := 0
	requireLogged := func(r reply, message string) {
		want++
		b.eventually(func() bool { _, n := logged(); return n >= want }, message+": found no line of the logger, want one")
		last, n := logged()
		require.Equal(b, want, n, "the lines of the logger")
		require.Equal(b, r.StatusCode, last.status, "%s: the status in the log", message)
		if last.size >= 0 && r.StatusCode != http.StatusNotFound { // some write that page behind the logger
			require.EqualValues(b, len(r.body), last.size, "%s: the size in the log", message)
		}
	}
	requireLogged(v.post("/set?value=x"), "a page")
	requireLogged(v.get("/answer/text"), "a text")
	requireLogged(v.get("/answer/empty"), "nothing")
	requireLogged(v.get("/answer/redirect"), "a redirection")
	requireLogged(v.get("/answer/nothing"), "a handler that does nothing")
	requireLogged(v.get("/large"), "a large page")
	requireLogged(v.get("/no/such/path"), "no page")
	b.store.Fail(store.ErrUnavailable)
	r := v.post("/set?value=y")
	b.store.Fail(nil)
	requireLogged(r, "an error page in the handler's place")
	requireLogged(v.post("/panic"), "a panic")
}

// lateLook: a cache may have the response already when the handler accesses the session.
func (b *bench) lateLook() {
	b.startNative(Options{})
	r := b.visitor().get("/late")
	require.Equal(b, "late\n", r.body)
	require.Empty(b, r.Header["Set-Cookie"])
	for _, what := range []string{"a look", "a change"} {
		require.Error(b, b.finding(), "%s after the response has begun", what)
	}
	b.eventually(func() bool { return b.errorsOf(session.EventFailed) != nil }, "found no event of the late look, want one")
}

// concurrent requests of one session lose nothing.
func (b *bench) concurrent() {
	b.startNative(Options{})
	b.countAtOnce(b.visitor())
}

// countAtOnce sends many requests that change the same value and others.
func (b *bench) countAtOnce(v *visitor) {
	const requests = 24
	require.Equal(b, "1", v.post("/count").body)
	each := make([]func(*bench), requests)
	for i := range each {
		each[i] = func(b *bench) {
			v := &visitor{b, v.cookie, v.url}
			require.Equal(b, http.StatusOK, v.post(fmt.Sprintf("/count?name=n%d", i)).StatusCode)
		}
	}
	b.together(each...)
	v.requireVisits(requests + 1)
	for i := range requests {
		ok, err := v.stored().Has(fmt.Sprintf("n%d", i))
		require.NoError(b, err)
		require.True(b, ok, "found no value of request %d, want one", i)
	}
	require.NoError(b, b.errorsOf(session.EventFailed))
}
