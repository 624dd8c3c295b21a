package main

import (
	"context"
	"crypto/rand"
	"io"
	"net/http"

	"github.com/gorilla/sessions"
)

const gorillaName = "session"

func openGorillaCookie(_ context.Context, _ string, f *faults) (server, error) {
	s := gorillaServer(sessions.NewCookieStore(gorillaKey()), f)
	s.inCookie = true
	return s, nil
}

func openGorillaFiles(_ context.Context, dir string, f *faults) (server, error) {
	return gorillaServer(sessions.NewFilesystemStore(dir, gorillaKey()), f), nil
}

// gorillaKey is one authentication key, with which the stores sign.
func gorillaKey() []byte {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return key
}

func gorillaServer(store sessions.Store, f *faults) *httpServer {
	// open and save are what a handler does at its beginning and before it
	// answers.
	open := func(r *http.Request) *sessions.Session {
		session, err := store.Get(r, gorillaName)
		if err != nil {
			f.note(err)
		}
		return session
	}
	save := func(session *sessions.Session, w http.ResponseWriter, r *http.Request) {
		if err := session.Save(r, w); err != nil {
			f.note(err)
		}
	}

	s := &httpServer{}
	s.loginPage = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		session := open(r)
		session.Values[keyUser] = r.FormValue(keyUser)
		session.Values[keyTheme] = valueTheme
		session.Values[keyLocale] = valueLocale
		session.Values[keyCSRF] = valueCSRF
		session.Values[keyCount] = 0
		save(session, w, r)
	})
	s.pages[opUnused] = http.HandlerFunc(serveUnused)
	s.pages[opRead] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		session := open(r)
		user, _ := session.Values[keyUser].(string)
		csrf, _ := session.Values[keyCSRF].(string)
		f.checkRead(user, csrf)
		_, _ = io.WriteString(w, user)
	})
	s.pages[opWrite] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		session := open(r)
		user, _ := session.Values[keyUser].(string)
		count, ok := session.Values[keyCount].(int)
		if !ok {
			count = -1
		}
		f.checkWrite(user, count)
		session.Values[keyCount] = count + 1
		save(session, w, r)
		_, _ = io.WriteString(w, user)
	})
	s.pages[opInspect] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		values := open(r).Values
		user, _ := values[keyUser].(string)
		theme, _ := values[keyTheme].(string)
		locale, _ := values[keyLocale].(string)
		csrf, _ := values[keyCSRF].(string)
		count, _ := values[keyCount].(int)
		_, _ = io.WriteString(w, inspection(user, theme, locale, csrf, count))
	})
	return s
}
