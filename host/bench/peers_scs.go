package main

import (
	"context"
	"io"
	"net/http"

	"github.com/alexedwards/scs/v2"
)

// openSCS runs scs as scs.New makes it: memstore, gob.
func openSCS(_ context.Context, _ string, f *faults) (server, error) {
	m := scs.New()
	m.ErrorFunc = func(w http.ResponseWriter, _ *http.Request, err error) {
		f.note(err)
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
	page := func(serve http.HandlerFunc) http.Handler { return m.LoadAndSave(serve) }

	s := &httpServer{} // memstore's cleanup runs on until the program ends
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
	return s, nil
}
