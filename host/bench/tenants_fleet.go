package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"time"

	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session"
)

// fleet is a number of tenants of one guest. Each has a plugin and a session manager.
type fleet struct {
	host    *plugin.Host
	module  *plugin.Module
	config  plugin.Config
	tenants []tenantApp
	page    http.Handler // the same application for all
	faults  faults

	// The cookies lie in one piece that is there before anything is measured.
	cookies  []byte
	length   int // of each
	sessions int

	made   http.Request
	now    http.Request
	cookie [1]string
	header http.Header
	answer discard
}

type tenantApp struct {
	plugin  *plugin.Plugin
	handler http.Handler
}

// tenantMemory is what a tenant may take.
const tenantMemory = 16 << 20

// newFleet makes room for n tenants and brings one up, so that what all of them share is
// there.
func newFleet(ctx context.Context, g tenantGuest, way tenantWay, n, sessions, awake int) (_ *fleet, err error) {
	f := &fleet{host: plugin.NewHost(way.host(awake)), sessions: sessions, tenants: make([]tenantApp, 0, n)}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.close(ctx))
		}
	}()
	f.config = plugin.Config{
		Name: "tenant", Shards: 1, MemoryLimit: tenantMemory, Trusted: g.trusted,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	way.plugin(&f.config)
	f.page = f.application()
	f.made = *httptest.NewRequest("GET", "/", nil)
	f.header = make(http.Header)
	f.made.Header = f.header
	f.answer.header = make(http.Header)
	if f.module, err = f.host.Compile(ctx, g.wasm, f.config); err != nil {
		return nil, err
	}
	if err := f.add(ctx); err != nil {
		return nil, err
	}
	first, err := f.login(0, userName(0))
	if err != nil {
		return nil, err
	}
	if info := f.tenants[0].plugin.Info(); way == wayShared && !info.Shared {
		return nil, notShared(info.NotShared)
	}
	f.length = len(first)
	if err := f.tenants[0].plugin.Close(ctx); err != nil {
		return nil, err
	}
	f.tenants = f.tenants[:0]
	f.cookies = make([]byte, n*sessions*f.length)
	for i := range f.cookies {
		f.cookies[i] = '.' // so that the memory is there
	}
	return f, nil
}

// application is what each tenant runs.
func (f *fleet) application() http.Handler {
	check := func(errs ...error) {
		for _, err := range errs {
			if err != nil {
				f.faults.note(err)
			}
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := session.From(r)
		if r.URL.Path == "/login" {
			check(userKey.Set(v, r.FormValue(keyUser)), themeKey.Set(v, valueTheme), localeKey.Set(v, valueLocale),
				csrfKey.Set(v, valueCSRF), countKey.Set(v, 0))
			return
		}
		user, err := userKey.Get(v)
		check(err)
		if r.URL.Path == "/write" {
			count, ok, err := countKey.Lookup(v)
			if !ok {
				count = -1
			}
			f.faults.checkWrite(user, count)
			check(err, countKey.Set(v, count+1))
		} else {
			csrf, err := csrfKey.Get(v)
			check(err)
			f.faults.checkRead(user, csrf)
		}
		_, _ = io.WriteString(w, user)
	})
}

// add opens one more tenant.
func (f *fleet) add(ctx context.Context) error {
	p, err := f.module.Open(ctx, f.config)
	if err != nil {
		return err
	}
	m, err := session.New(p, session.Settings{OnError: func(w http.ResponseWriter, _ *http.Request, err error) {
		f.faults.note(err)
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}})
	if err != nil {
		return errors.Join(err, p.Close(ctx))
	}
	f.tenants = append(f.tenants, tenantApp{p, m.Handler(f.page)})
	return nil
}

// login makes a session and returns its cookie.
func (f *fleet) login(tenant int, user string) (string, error) {
	w := httptest.NewRecorder()
	f.tenants[tenant].handler.ServeHTTP(w, httptest.NewRequest("GET", "/login?user="+url.QueryEscape(user), nil))
	cookies := w.Result().Cookies()
	if w.Code != http.StatusOK || len(cookies) != 1 {
		return "", fmt.Errorf("log-in: answer %d with %d cookies: %s", w.Code, len(cookies), w.Body)
	}
	return cookies[0].Name + "=" + cookies[0].Value, nil
}

// keep remembers a session's cookie.
func (f *fleet) keep(tenant, number int, cookie string) error {
	if len(cookie) != f.length {
		return fmt.Errorf("a cookie has %d bytes, others %d", len(cookie), f.length)
	}
	copy(f.cookies[(tenant*f.sessions+number)*f.length:], cookie)
	return nil
}

// aim makes the next request one of a session.
func (f *fleet) aim(tenant, number int) {
	at := (tenant*f.sessions + number) * f.length
	f.cookie[0] = string(f.cookies[at : at+f.length])
	f.header["Cookie"] = f.cookie[:]
}

var tenantPages = map[operation]*url.URL{opRead: {Path: "/read"}, opWrite: {Path: "/write"}}

// request makes the request of the session that was aimed at.
func (f *fleet) request(tenant int, op operation) {
	f.now = f.made
	f.now.URL = tenantPages[op]
	clear(f.answer.header)
	f.tenants[tenant].handler.ServeHTTP(&f.answer, &f.now)
}

// populate opens all tenants and their sessions. It returns what it took from opening
// a tenant to its first answer.
func (f *fleet) populate(ctx context.Context) (*stopwatch, error) {
	var took stopwatch
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for t := range cap(f.tenants) {
		user := userName(t)
		var cookie string
		err := took.measure(func() (err error) {
			if err = f.add(ctx); err == nil {
				cookie, err = f.login(t, user)
			}
			return err
		})
		for i := 0; err == nil && i < f.sessions; i++ {
			if i > 0 {
				cookie, err = f.login(t, user)
			}
			if err == nil {
				err = f.keep(t, i, cookie)
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return &took, f.faults.err()
}

// each makes requests to all tenants, n to each, a fifth of them writes if there are
// several. It returns what the first one of each took.
func (f *fleet) each(n int) (*stopwatch, error) {
	var took stopwatch
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for t := range f.tenants {
		for i := range n {
			f.aim(t, i%f.sessions)
			op := opRead
			if i%5 == 4 {
				op = opWrite
			}
			if i > 0 {
				f.request(t, op)
				continue
			}
			_ = took.measure(func() error { f.request(t, op); return nil })
		}
	}
	return &took, f.faults.err()
}

// sleep puts all tenants to sleep.
func (f *fleet) sleep(ctx context.Context) error {
	for _, t := range f.tenants {
		if err := t.plugin.Sleep(ctx); err != nil {
			return err
		}
	}
	return nil
}

// verify looks for every session of every tenant.
func (f *fleet) verify() error {
	for t := range f.tenants {
		for i := range f.sessions {
			f.aim(t, i)
			w := httptest.NewRecorder()
			r := f.made
			r.URL = tenantPages[opRead]
			f.tenants[t].handler.ServeHTTP(w, &r)
			if w.Code != http.StatusOK || w.Body.String() != userName(t) {
				return fmt.Errorf("session %d of tenant %d answered %d: %q", i, t, w.Code, w.Body)
			}
		}
	}
	return f.faults.err()
}

func (f *fleet) close(ctx context.Context) error {
	var errs []error
	for _, t := range f.tenants {
		errs = append(errs, t.plugin.Close(ctx))
	}
	if f.module != nil {
		errs = append(errs, f.module.Close())
	}
	return errors.Join(append(errs, f.host.Close(ctx))...)
}

// stopwatch are times of single operations, by wall-clock time and by the processor time of
// the thread, to which the caller is locked.
type stopwatch struct{ clock, processor []float64 }

func (t *stopwatch) measure(f func() error) error {
	used, began := threadTime(), time.Now()
	err := f()
	t.clock = append(t.clock, float64(time.Since(began)))
	t.processor = append(t.processor, float64(threadTime()-used))
	return err
}
