package playground

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"

	"github.com/waddle-sessions/waddle/host/session"
)

// maxValues bounds the number of values in a visitor's session, so that the page
// stays readable.
const maxValues = 256

// api is the JSON interface.
type api struct {
	of func(*http.Request) Site
}

// newAPI returns the routes of the interface. Patterns have no method: each route
// checks its own, so that the answer to a wrong one is JSON too.
func newAPI(of func(*http.Request) Site) http.Handler {
	a := api{of}
	mux := http.NewServeMux()
	mux.Handle("/api/session", methods{"GET": a.show})
	mux.Handle("/api/session/{key}", methods{"PUT": a.set, "DELETE": a.remove})
	mux.Handle("/api/session/{key}/increment", methods{"POST": a.increment})
	mux.Handle("/api/login", methods{"POST": a.login})
	mux.Handle("/api/logout", methods{"POST": a.logout})
	mux.Handle("/api/devices", methods{"GET": a.devices, "DELETE": a.endOthers})
	mux.Handle("/api/devices/{publicId}", methods{"DELETE": a.endDevice})
	mux.Handle("/api/flash", methods{"POST": a.addFlash, "DELETE": a.takeFlash})
	mux.Handle("/api/csrf", methods{"POST": a.csrfToken})
	mux.Handle("/api/csrf/check", methods{"POST": a.checkCSRF})
	mux.Handle("/api/about", methods{"GET": func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusOK, aboutOf(of(r)))
	}})
	mux.HandleFunc("/api/session/{$}", func(w http.ResponseWriter, _ *http.Request) {
		writeError(w, http.StatusBadRequest, checkKey("").Error())
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, http.StatusNotFound, "there is nothing at "+strconv.Quote(r.URL.Path)+
			"; the addresses are /api/session, /api/session/{key}, /api/session/{key}/increment, /api/login, /api/logout, "+
			"/api/devices, /api/devices/{publicId}, /api/flash, /api/csrf, /api/csrf/check and /api/about")
	})
	return mux
}

// view is the session as the interface shows it.
type view struct {
	Values   map[string]json.RawMessage `json:"values"`
	New      bool                       `json:"new"`
	Modified bool                       `json:"modified"`
	Expires  string                     `json:"expires"`
}

func (a api) show(w http.ResponseWriter, r *http.Request) {
	s := session.From(r)
	v := view{Values: make(map[string]json.RawMessage)}
	for _, key := range session.Value(s, s.Keys) {
		// A value that is not JSON cannot be shown: it counts as absent, and an
		// event reports it.
		if value := session.NewKey[json.RawMessage](key).Value(s); value != nil {
			v.Values[key] = value
		}
	}
	v.New = !session.Value(s, s.Exists)
	if expires := session.Value(s, s.Expires); !expires.IsZero() {
		v.Expires = timestamp(expires)
	}
	v.Modified = s.Modified()
	writeJSON(w, http.StatusOK, v)
}

func (a api) set(w http.ResponseWriter, r *http.Request) {
	key := r.PathValue("key")
	if err := checkKey(key); err != nil {
		writeError(w, http.StatusBadRequest, err.Error())
		return
	}
	value, ok := readValue(w, r)
	if !ok || !a.hasRoom(w, r, key) {
		return
	}
	session.NewKey[json.RawMessage](key).Put(session.From(r), value)
	a.show(w, r)
}

func (a api) remove(w http.ResponseWriter, r *http.Request) {
	key := r.PathValue("key")
	if err := checkKey(key); err != nil {
		writeError(w, http.StatusBadRequest, err.Error())
		return
	}
	s := session.From(r)
	s.Check(s.Delete(key))
	a.show(w, r)
}

func (a api) increment(w http.ResponseWriter, r *http.Request) {
	key := r.PathValue("key")
	if err := checkKey(key); err != nil {
		writeError(w, http.StatusBadRequest, err.Error())
		return
	}
	if !a.hasRoom(w, r, key) {
		return
	}
	s := session.From(r)
	value, err := session.NewKey[json.RawMessage](key).Update(s, func(old json.RawMessage) (json.RawMessage, error) {
		return plusOne(key, old)
	})
	var no *notIncrementable
	if errors.As(err, &no) {
		writeError(w, http.StatusConflict, no.Error())
		return
	}
	s.Check(err)
	writeJSON(w, http.StatusOK, struct {
		Value json.RawMessage `json:"value"`
	}{value})
}

// hasRoom reports whether the session has room for a value under key. If not, it
// has answered the request.
func (a api) hasRoom(w http.ResponseWriter, r *http.Request, key string) bool {
	s := session.From(r)
	has, err := s.Has(key)
	s.Check(err)
	if n := session.Value(s, s.Len); !has && n >= maxValues {
		writeError(w, http.StatusConflict, fmt.Sprintf("the session has %d values, the largest number; remove one first", n))
		return false
	}
	return s.Check(nil)
}

// notIncrementable is an error about a value that increment leaves unchanged.
type notIncrementable struct{ message string }

func (e *notIncrementable) Error() string { return e.message }

// plusOne returns the integer after old, or 1 if there is none.
func plusOne(key string, old json.RawMessage) (json.RawMessage, error) {
	if old == nil {
		return json.RawMessage("1"), nil
	}
	n, err := strconv.ParseInt(string(old), 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return nil, &notIncrementable{fmt.Sprintf("the value %q is %s, which does not fit in a 64-bit integer; nothing was changed", key, excerpt(old))}
	case err != nil:
		return nil, &notIncrementable{fmt.Sprintf("the value %q is %s, which is not an integer; nothing was changed", key, excerpt(old))}
	case n == math.MaxInt64:
		return nil, &notIncrementable{fmt.Sprintf("the value %q is %d, the largest 64-bit integer; nothing was changed", key, n)}
	}
	return strconv.AppendInt(nil, n+1, 10), nil
}

// excerpt returns a value in the form for an error message.
func excerpt(value []byte) string {
	const most = 40
	if text := []rune(string(value)); len(text) > most {
		return string(text[:most]) + "…"
	}
	return string(value)
}
