package session_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/session/sessiontest"
	"github.com/waddle-sessions/waddle/host/store"
)

// The model states in plain maps what sessions should be. Several browsers have
// requests running at once. Each step does one thing in one request, in the
// implementation and in the model, and both must agree on the result.

// modelSession is a session that was stored under an id.
type modelSession struct {
	id       string
	values   map[string]int
	created  store.Millis
	lifetime store.Millis // its own, or 0
	expires  store.Millis
	dead     bool
	left     *modelTombstone // under its id, if it was ended or renewed
}

// modelTombstone is what an ended or renewed session leaves.
type modelTombstone struct {
	at      store.Millis
	renewed bool
}

const (
	modelGrace = store.Millis(30 * time.Second / time.Millisecond)
	modelKept  = store.Millis(time.Hour / time.Millisecond)
)

func (m *model) bury(s *modelSession, renewed bool) {
	s.dead = true
	s.left = &modelTombstone{store.At(m.clock.Now()), renewed}
}

type model struct {
	t        *testing.T
	random   *rand.Rand
	clock    *sessiontest.Clock
	store    *spy
	managers []*session.Manager       // of the servers
	sessions map[string]*modelSession // by id, including dead ones
	trail    []string
}

const (
	modelDuration = store.Millis(time.Hour / time.Millisecond)
	modelAbsolute = 3 * modelDuration
)

func (l *modelTombstone) why() error {
	if l.renewed {
		return session.ErrRenewed
	}
	return session.ErrGone
}

// left is what the storage still has of an ended session.
func (m *model) left(s *modelSession) *modelTombstone {
	if s.left == nil || store.At(m.clock.Now()) >= s.left.at+modelKept {
		return nil
	}
	return s.left
}

func (m *model) live(s *modelSession) bool { return !s.dead && store.At(m.clock.Now()) < s.expires }

// modelRequest is a request that has begun and not yet ended.
type modelRequest struct {
	name    string
	browser *modelBrowser
	ops     chan func(http.ResponseWriter, *session.Session)
	done    chan struct{}
	answer  *httptest.ResponseRecorder

	// The request's knowledge and wishes.
	cookie    string
	brought   string // the cookie that it came with, whatever becomes of it
	loaded    bool
	session   *modelSession
	base      map[string]int
	pending   map[string]*int // nil: removed
	cleared   bool
	force     bool
	renew     bool
	lifetime  *store.Millis
	sent      bool
	destroyed bool
	ended     error  // another request ended its session, so nothing it sets is kept
	told      string // id of the last cookie that must go out
}

type modelBrowser struct {
	name   string
	cookie string
}

func (r *modelRequest) modified() bool {
	return len(r.pending) > 0 || r.cleared || r.force || r.renew || r.lifetime != nil
}

func (r *modelRequest) drop() {
	r.pending, r.cleared, r.force, r.renew, r.lifetime = map[string]*int{}, false, false, false, nil
}

func (r *modelRequest) forget() {
	r.drop()
	r.session, r.base, r.loaded, r.ended = nil, nil, true, nil
}

func (m *model) load(r *modelRequest) {
	if r.loaded {
		return
	}
	r.loaded = true
	s := m.sessions[r.cookie]
	switch {
	case s == nil:
	case m.live(s):
		r.session, r.base = s, maps.Clone(s.values)
	case s.dead && store.At(m.clock.Now()) < s.left.at+modelGrace:
		r.ended = s.left.why()
	}
}

// over applies the request's changes to values.
func (r *modelRequest) over(base map[string]int) map[string]int {
	all := map[string]int{}
	if !r.cleared {
		maps.Copy(all, base)
	}
	for key, v := range r.pending {
		if delete(all, key); v != nil {
			all[key] = *v
		}
	}
	return all
}

func (m *model) lookup(r *modelRequest, key string) (int, bool) {
	if v, ok := r.pending[key]; ok {
		if v == nil {
			return 0, false
		}
		return *v, true
	}
	m.load(r)
	v, ok := r.over(r.base)[key]
	return v, ok
}

// modelEdit changes the values to be stored, and reports whether there is
// anything to store.
type modelEdit func(values map[string]int) bool

// commit does what Save and the end of the request do, and with an edit, what
// Update and Pop do. It returns the error that the implementation must return.
func (m *model) commit(r *modelRequest, edit modelEdit) error {
	if edit == nil && !r.modified() {
		return nil
	}
	m.load(r)
	now := store.At(m.clock.Now())
	s := r.session
	if r.ended != nil && !r.renew {
		r.drop()
		return r.ended
	}
	fresh := s == nil || r.renew
	if s != nil && !m.live(s) {
		left := m.left(s)
		if now >= s.created+modelAbsolute && left == nil {
			// Its time is over, so it is destroyed as if by request.
			r.forget()
			r.destroyed, r.cookie, r.told = true, "", ""
			return session.ErrGone
		}
		why := session.ErrGone
		if left != nil {
			why = left.why()
		}
		r.forget()
		r.ended = why
		return why
	}
	if fresh && r.sent {
		return session.ErrHeadersSent
	}
	next := &modelSession{created: now, values: map[string]int{}}
	if s != nil {
		*next = *s
	}
	if r.lifetime != nil {
		next.lifetime = *r.lifetime
	}
	next.expires = now + modelDuration
	if next.lifetime != 0 {
		next.expires = now + next.lifetime
	}
	next.expires = min(next.expires, next.created+modelAbsolute)
	next.values = r.over(next.values)
	if edit != nil && !edit(next.values) {
		// The request knows by now what others stored meanwhile.
		r.base = maps.Clone(s.values)
		return nil
	}
	if s != nil && !r.renew {
		*s = *next
		next = s
	} else if s != nil {
		m.bury(s, true)
		next.left = nil
	}
	r.session, r.base = next, maps.Clone(next.values)
	r.destroyed, r.ended = false, nil
	if fresh {
		next.id = "" // the caller learns it
	}
	r.drop()
	return nil
}

// learn tells the model the id that a session received.
func (m *model) learn(r *modelRequest, id string) {
	if r.session != nil && r.session.id == "" {
		require.NotEmpty(m.t, id)
		require.NotContains(m.t, m.sessions, id, "an id is used once")
		r.session.id = id
		m.sessions[id] = r.session
		r.told = id
	}
}

// server is any of the servers.
func (m *model) server() *session.Manager { return m.managers[m.random.IntN(len(m.managers))] }

func (m *model) begin(b *modelBrowser, name string) *modelRequest {
	r := &modelRequest{
		name: name, browser: b, cookie: b.cookie, brought: b.cookie, pending: map[string]*int{},
		ops:  make(chan func(http.ResponseWriter, *session.Session)),
		done: make(chan struct{}), answer: httptest.NewRecorder(),
	}
	request := httptest.NewRequest(http.MethodGet, "/", nil)
	if b.cookie != "" {
		request.AddCookie(&http.Cookie{Name: "session_id", Value: b.cookie})
	}
	server := m.server()
	go func() {
		defer close(r.done)
		server.Handler(http.HandlerFunc(func(w http.ResponseWriter, hr *http.Request) {
			for op := range r.ops {
				op(w, session.From(hr))
			}
		})).ServeHTTP(r.answer, request)
	}()
	return r
}

// in runs f with the request's session and waits for it. A failed check there
// ends the test here.
func (m *model) in(r *modelRequest, f func(w http.ResponseWriter, s *session.Session)) {
	done := make(chan struct{})
	r.ops <- func(w http.ResponseWriter, s *session.Session) { defer close(done); f(w, s) }
	<-done
	if m.t.Failed() {
		m.t.FailNow()
	}
}

// same compares an error with the one that the model expects.
func (m *model) same(want, got error) {
	m.t.Helper()
	if want == nil {
		require.NoError(m.t, got)
	} else {
		require.ErrorIs(m.t, got, want)
	}
}

var modelKeys = []string{"a", "b", "c"}

// step does one random thing in a request. With faulty, the storage is down
// meanwhile, and an operation that needs it must fail without effect.
func (m *model) step(r *modelRequest, faulty bool) {
	key := modelKeys[m.random.IntN(len(modelKeys))]
	op := m.random.IntN(15)
	m.trail = append(m.trail, fmt.Sprint(store.At(m.clock.Now())-clockStart, " ", r.name, " op ", op, " ", key, " faulty ", faulty))
	if faulty {
		m.store.fail(func(operation) error { return store.ErrUnavailable }, nil)
		defer m.store.fail(nil, nil)
		m.faultyStep(r, key, op)
		return
	}
	m.in(r, func(w http.ResponseWriter, s *session.Session) {
		switch op {
		case 0, 1:
			var v int
			ok, err := s.Get(key, &v)
			require.NoError(m.t, err)
			want, wantOK := m.lookup(r, key)
			require.Equal(m.t, wantOK, ok)
			if ok {
				require.Equal(m.t, want, v)
			}
		case 2, 3:
			v := m.random.IntN(100)
			require.NoError(m.t, s.Set(key, v))
			r.pending[key] = &v
		case 4:
			m.load(r)
			want, had := m.lookup(r, key)
			var wantErr error
			if had && r.session == nil {
				delete(r.pending, key)
			} else if had {
				wantErr = m.commit(r, func(values map[string]int) bool {
					want, had = values[key]
					delete(values, key)
					return had
				})
			}
			var v int
			ok, err := s.Pop(key, &v)
			m.same(wantErr, err)
			require.Equal(m.t, had && wantErr == nil, ok)
			if ok {
				require.Equal(m.t, want, v)
			}
			m.learnFrom(r, s)
		case 5:
			m.load(r)
			require.NoError(m.t, s.Clear())
			r.pending = map[string]*int{}
			r.cleared = r.session != nil
		case 6:
			s.SetModified()
			r.force = true
		case 7:
			if r.sent {
				return // other tests cover whether that needs a cookie
			}
			m.load(r)
			life := store.Millis(1+m.random.IntN(7200)) * 1000
			require.NoError(m.t, s.SetExpiry(life.Duration()))
			r.lifetime = &life
		case 8:
			err := s.Renew()
			if r.sent {
				m.same(session.ErrHeadersSent, err)
			} else {
				require.NoError(m.t, err)
				r.renew = true
			}
		case 9:
			want := m.commit(r, nil)
			m.same(want, s.Save())
			m.learnFrom(r, s)
		case 10:
			want := 0
			wantErr := m.commit(r, func(values map[string]int) bool {
				values[key]++
				want = values[key]
				return true
			})
			got, err := session.NewKey[int](key).Update(s, plusOne)
			m.same(wantErr, err)
			if wantErr == nil {
				require.Equal(m.t, want, got)
			}
			m.learnFrom(r, s)
		case 11:
			if m.random.IntN(3) > 0 {
				return // if destroyed too often, nothing would live long enough
			}
			require.NoError(m.t, s.Destroy())
			m.load(r)
			m.destroy(r)
		case 12:
			if r.sent || m.random.IntN(3) > 0 {
				return
			}
			m.beforeHeaders(r)
			w.Header().Set("Vary", "Cookie") // other tests cover what happens without
			w.WriteHeader(http.StatusOK)
			m.learnFrom(r, s)
		case 13:
			m.load(r)
			keys, err := s.Keys()
			require.NoError(m.t, err)
			want := r.over(r.base)
			require.ElementsMatch(m.t, slices.Collect(maps.Keys(want)), keys)
			exists, err := s.Exists()
			require.NoError(m.t, err)
			require.Equal(m.t, r.session != nil, exists)
		case 14:
			m.load(r)
			require.NoError(m.t, s.Delete(key))
			if _, beneath := r.base[key]; beneath && !r.cleared {
				r.pending[key] = nil
			} else {
				delete(r.pending, key)
			}
		}
		require.Equal(m.t, r.modified(), s.Modified())
	})
}

// destroy ends what the request knows of. If another request was faster, the
// browser gets no cookie.
func (m *model) destroy(r *modelRequest) {
	had := r.cookie != "" || r.session != nil
	ended, by := false, r.ended
	now := store.At(m.clock.Now())
	candidates := []*modelSession{m.sessions[r.cookie]}
	if r.session != candidates[0] {
		candidates = append(candidates, r.session)
	}
	for _, s := range candidates {
		switch {
		case s == nil:
		case s.dead:
			if left := m.left(s); left != nil && (s == r.session || now < left.at+modelGrace) {
				by = s.left.why()
			}
		case now < s.expires:
			m.bury(s, false)
			ended = true
		}
	}
	r.forget()
	r.cookie, r.told = "", ""
	r.ended, r.destroyed = nil, ended || by == nil && had
	if !ended {
		r.ended = by
	}
}

func (m *model) learnFrom(r *modelRequest, s *session.Session) {
	if r.session != nil && r.session.id == "" {
		id, err := s.ID()
		require.NoError(m.t, err)
		m.learn(r, id)
	}
}

// faultyStep: while the storage is down, changes are still accepted. Everything
// else is an error that changes nothing.
func (m *model) faultyStep(r *modelRequest, key string, op int) {
	m.in(r, func(_ http.ResponseWriter, s *session.Session) {
		var err error
		needed := false // whether the storage had to be asked
		switch op % 4 {
		case 0:
			_, pending := r.pending[key]
			needed = !pending && !r.loaded && r.cookie != ""
			_, err = s.Has(key)
		case 1:
			needed = r.modified() && (!r.loaded && r.cookie != "")
			if !needed && r.modified() {
				return // it may end for reasons of its own, which the other steps test
			}
			err = s.Save()
		case 2:
			// An id that leads to nothing is still looked up.
			needed = r.cookie != "" || r.session != nil
			err = s.Destroy()
			if !needed {
				m.destroy(r)
			}
		case 3:
			v := 7
			require.NoError(m.t, s.Set(key, v))
			r.pending[key] = &v
		}
		if needed {
			require.ErrorIs(m.t, err, store.ErrUnavailable)
		} else {
			require.NoError(m.t, err)
			if _, pending := r.pending[key]; op%4 == 0 && !pending {
				m.load(r)
			}
		}
		require.Equal(m.t, r.modified(), s.Modified())
	})
}

// beforeHeaders is the commit before the response.
func (m *model) beforeHeaders(r *modelRequest) (status int) {
	renew := r.renew
	err := m.commit(r, nil)
	r.sent = true
	if errors.Is(err, session.ErrGone) && renew { // by now, and not at the first access
		return http.StatusConflict
	}
	return http.StatusOK
}

func (m *model) end(r *modelRequest) {
	m.trail = append(m.trail, fmt.Sprint(store.At(m.clock.Now())-clockStart, " ", r.name, " ends"))
	status, sentBefore := http.StatusOK, r.sent
	if sentBefore {
		_ = m.commit(r, nil)
	} else {
		status = m.beforeHeaders(r)
	}
	close(r.ops)
	<-r.done
	if !sentBefore {
		require.Equal(m.t, status, r.answer.Code)
	}
	var cookie *http.Cookie
	for _, c := range r.answer.Result().Cookies() {
		require.Nil(m.t, cookie, "two cookies")
		cookie = c
	}
	switch {
	case cookie != nil && cookie.MaxAge < 0:
		named := m.sessions[r.brought]
		require.True(m.t, r.destroyed || sentBefore || named == nil || !m.live(named), "a cookie was removed and nobody asked for it")
		r.browser.cookie = ""
	case cookie != nil:
		m.learn(r, cookie.Value)
		if !sentBefore && r.session != nil {
			require.Equal(m.t, r.session.id, cookie.Value)
		}
		r.browser.cookie = cookie.Value
	default:
		require.False(m.t, r.session != nil && r.session.id == "", "a new session and no cookie")
		require.False(m.t, !sentBefore && r.destroyed, "destroyed, and the cookie stays")
	}
}
