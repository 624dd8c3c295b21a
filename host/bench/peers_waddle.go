package main

import (
	"context"
	"crypto/rand"
	"io"
	"net/http"

	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

var (
	userKey   = session.NewKey[string](keyUser)
	themeKey  = session.NewKey[string](keyTheme)
	localeKey = session.NewKey[string](keyLocale)
	csrfKey   = session.NewKey[string](keyCSRF)
	countKey  = session.NewKey[int](keyCount)
)

func openNative(ctx context.Context, _ string, f *faults) (server, error) {
	return waddleServer(ctx, store.NewMemory(), f)
}

func openNativeSealed(ctx context.Context, _ string, f *faults) (server, error) {
	return sealedServer(ctx, store.NewMemory(), f)
}

// openWasm starts our middleware over the memory engine.
func openWasm(ctx context.Context, _ string, f *faults) (server, error) {
	engine, err := openEngine(ctx, engineSmall)
	if err != nil {
		return nil, err
	}
	return waddleServer(ctx, engine, f)
}

func openWasmSealed(ctx context.Context, _ string, f *faults) (server, error) {
	engine, err := openEngine(ctx, engineSmall)
	if err != nil {
		return nil, err
	}
	return sealedServer(ctx, engine, f)
}

func sealedServer(ctx context.Context, st store.Store, f *faults) (server, error) {
	ring, err := session.NewKeyring(rand.Text() + rand.Text())
	if err != nil {
		return nil, err
	}
	return waddleServerWith(ctx, st, session.Settings{Keyring: ring}, f)
}

// waddleServer runs our middleware with the default settings. The server owns
// the store.
func waddleServer(ctx context.Context, st store.Store, f *faults) (server, error) {
	return waddleServerWith(ctx, st, session.Settings{}, f)
}

func waddleServerWith(ctx context.Context, st store.Store, settings session.Settings, f *faults) (server, error) {
	settings.OnError = func(w http.ResponseWriter, _ *http.Request, err error) {
		f.note(err)
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
	m, err := session.New(st, settings)
	if err != nil {
		return nil, err
	}
	page := func(serve http.HandlerFunc) http.Handler { return m.Handler(serve) }
	check := func(errs ...error) {
		for _, err := range errs {
			if err != nil {
				f.note(err)
			}
		}
	}

	s := &httpServer{end: func() error { return store.Close(ctx, st) }}
	s.loginPage = page(func(_ http.ResponseWriter, r *http.Request) {
		v := session.From(r)
		check(
			userKey.Set(v, r.FormValue(keyUser)),
			themeKey.Set(v, valueTheme),
			localeKey.Set(v, valueLocale),
			csrfKey.Set(v, valueCSRF),
			countKey.Set(v, 0),
		)
	})
	s.pages[opUnused] = page(serveUnused)
	s.pages[opRead] = page(func(w http.ResponseWriter, r *http.Request) {
		v := session.From(r)
		user, err1 := userKey.Get(v)
		csrf, err2 := csrfKey.Get(v)
		if err1 != nil || err2 != nil {
			check(err1, err2)
		}
		f.checkRead(user, csrf)
		_, _ = io.WriteString(w, user)
	})
	s.pages[opWrite] = page(func(w http.ResponseWriter, r *http.Request) {
		v := session.From(r)
		user, err1 := userKey.Get(v)
		count, ok, err2 := countKey.Lookup(v)
		if !ok {
			count = -1
		}
		f.checkWrite(user, count)
		err3 := countKey.Set(v, count+1)
		if err1 != nil || err2 != nil || err3 != nil {
			check(err1, err2, err3)
		}
		_, _ = io.WriteString(w, user)
	})
	s.pages[opInspect] = page(func(w http.ResponseWriter, r *http.Request) {
		v := session.From(r)
		user, err1 := userKey.Get(v)
		theme, err2 := themeKey.Get(v)
		locale, err3 := localeKey.Get(v)
		csrf, err4 := csrfKey.Get(v)
		count, err5 := countKey.Get(v)
		check(err1, err2, err3, err4, err5)
		_, _ = io.WriteString(w, inspection(user, theme, locale, csrf, count))
	})
	return s, nil
}
