package playground

import (
	"net/http"
	"strings"

	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// A program that makes the session managers itself, one for each of its tenants for
// example, serves playgrounds over them with the functions here. [New] does it for one:
//
//	Outside(cookieName, manager.Handler(Inside(site)))

// Site is what a playground shows to a request.
type Site struct {
	// Manager has the sessions. It was made with settings from Prepare, over a store
	// from Traced.
	Manager *session.Manager

	// Settings are those of the manager. The page lists them after Kept, which are the
	// settings of the store.
	Settings session.Settings
	Kept     []session.Setting

	Engine Engine
}

// Prepare changes settings for a playground: values and answers are JSON there, and the
// page shows events.
func Prepare(s *session.Settings) {
	log := session.LogEvents(nil) // thins out repeated events
	s.Codec, s.ReadCodecs = codec{session.JSON}, nil
	s.OnError = sessionErrors(log)
	s.OnEvent = traceEvents(s.OnEvent, log)
}

// Traced returns a store whose calls the page shows.
func Traced(s store.Store) store.Store { return tracedStore{s} }

// Outside returns what stands around the middleware of the sessions. cookieName gives the
// name of the session cookie for a request.
func Outside(cookieName func(*http.Request) string, next http.Handler) http.Handler {
	return secured(outside(cookieName, next))
}

func outside(cookieName func(*http.Request) string, next http.Handler) http.Handler {
	crossOrigin := http.NewCrossOriginProtection()
	crossOrigin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeError(w, http.StatusForbidden, "a page of another origin must not change this session")
	}))
	api := traced(cookieName, crossOrigin.Handler(next))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isAPI(r) {
			api.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Inside returns the page and its JSON interface, for a request that has a session.
func Inside(of func(*http.Request) Site) http.Handler {
	api, page := newAPI(of), newPage()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isAPI(r) {
			api.ServeHTTP(w, r)
			return
		}
		page.ServeHTTP(w, r)
	})
}

func isAPI(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/api/") }
