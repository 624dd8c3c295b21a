package main

import (
	"context"
	"io"
	"net/http"

	"github.com/alexedwards/scs/v2"
)

// openSCS runs scs as scs.New makes it: memstore, gob. Memstore's cleanup runs on
// until the program ends.
func openSCS(_ context.Context, _ string, f *faults) (server, error) {
	return scsServer(scs.New(), f), nil
}

// openSCSBolt runs it over its bolt store, not synced.
func openSCSBolt(_ context.Context, dir string, f *faults) (server, error) {
	store, end, err := openBolt(dir, false)
	if err != nil {
		return nil, err
	}
	m := scs.New()
	m.Store = store
	s := scsServer(m, f)
	s.end = end
	return s, nil
}

// openSCSBadger runs it over Badger, not synced.
func openSCSBadger(_ context.Context, dir string, f *faults) (server, error) {
	store, end, err := openBadger(dir, false)
	if err != nil {
		return nil, err
	}
	m := scs.New()
	m.Store = store
	s := scsServer(m, f)
	s.end = end
	return s, nil
}

func scsServer(m *scs.SessionManager, f *faults) *httpServer {
	m.ErrorFunc = func(w http.ResponseWriter, _ *http.Request, err error) {
		f.note(err)
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
	page := func(serve http.HandlerFunc) http.Handler { return m.LoadAndSave(serve) }

	s := &httpServer{}
	s.loginPage = page(func(_ http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		m.Put(ctx, keyUser, r.FormValue(keyUser))
		m.Put(ctx, keyTheme, valueTheme)
		m.Put(ctx, keyLocale, valueLocale)
		m.Put(ctx, keyCSRF, valueCSRF)
		m.Put(ctx, keyCount, 0)
	})
	s.pages[opUnused] = page(serveUnused)
	s.pages[opRead] = page(func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		user, csrf := m.GetString(ctx, keyUser), m.GetString(ctx, keyCSRF)
		f.checkRead(user, csrf)
		_, _ = io.WriteString(w, user)
	})
	s.pages[opWrite] = page(func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		user, count := m.GetString(ctx, keyUser), m.GetInt(ctx, keyCount)
		f.checkWrite(user, count)
		m.Put(ctx, keyCount, count+1)
		_, _ = io.WriteString(w, user)
	})
	s.pages[opInspect] = page(func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		_, _ = io.WriteString(w, inspection(m.GetString(ctx, keyUser), m.GetString(ctx, keyTheme),
			m.GetString(ctx, keyLocale), m.GetString(ctx, keyCSRF), m.GetInt(ctx, keyCount)))
	})
	return s
}
