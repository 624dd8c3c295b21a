package playground

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/waddle-sessions/waddle/host/session"
)

// device is a session of the visitor's user, with the details that the visitor may see.
type device struct {
	PublicID   string `json:"publicId"`
	Browser    string `json:"browser"`
	Remembered *bool  `json:"remembered,omitempty"` // absent if the log-in did not say
	Current    bool   `json:"current"`
	Created    string `json:"created"`
	LastSeen   string `json:"lastSeen"`
	Expires    string `json:"expires"`
}

// devices answers with the list of devices where the visitor is logged in.
func (a api) devices(w http.ResponseWriter, r *http.Request) {
	s := session.From(r)
	name, own := who(s)
	list := []device{}
	if name != "" {
		sessions, err := a.of(r).Manager.UserSessions(r.Context(), name)
		s.Check(err)
		for _, s := range sessions {
			d := device{
				PublicID: s.PublicID, Browser: s.Note[noteBrowser], Current: s.PublicID == own,
				Created: timestamp(s.Created), LastSeen: timestamp(s.LastSeen), Expires: timestamp(s.Expires),
			}
			if remembered, err := strconv.ParseBool(s.Note[noteRemembered]); err == nil {
				d.Remembered = &remembered
			}
			list = append(list, d)
		}
	}
	writeJSON(w, http.StatusOK, struct {
		User    string   `json:"user"`
		Devices []device `json:"devices"`
	}{name, list})
}

// endDevice ends one session of the visitor's user, possibly the visitor's own.
func (a api) endDevice(w http.ResponseWriter, r *http.Request) {
	name, own, ok := a.loggedIn(w, r)
	if !ok {
		return
	}
	publicID := r.PathValue("publicId")
	if publicID == own {
		// Destroy also makes the browser forget the cookie.
		s := session.From(r)
		s.Check(s.Destroy())
		writeEnded(w, 1)
		return
	}
	ended, err := a.of(r).Manager.Revoke(r.Context(), name, publicID)
	if session.From(r).Check(err); !ended {
		writeError(w, http.StatusNotFound, fmt.Sprintf("%s has no session with the public id %s; it may have ended already", name, excerpt([]byte(publicID))))
		return
	}
	writeEnded(w, 1)
}

// endOthers ends all sessions of the visitor's user except the visitor's own.
func (a api) endOthers(w http.ResponseWriter, r *http.Request) {
	name, own, ok := a.loggedIn(w, r)
	if !ok {
		return
	}
	n, err := a.of(r).Manager.RevokeAll(r.Context(), name, own)
	session.From(r).Check(err)
	writeEnded(w, n)
}

func writeEnded(w http.ResponseWriter, n int) {
	writeJSON(w, http.StatusOK, struct {
		Ended int `json:"ended"`
	}{n})
}

// who returns the visitor's user and the public id of this session. They are
// empty if nobody is logged in.
func who(s *session.Session) (name, publicID string) {
	return session.Value(s, s.User), session.Value(s, s.PublicID)
}

// loggedIn is who for requests that need a log-in. If nobody is logged in, or that
// cannot be found out, it has answered the request.
func (a api) loggedIn(w http.ResponseWriter, r *http.Request) (name, publicID string, ok bool) {
	if name, publicID = who(session.From(r)); name == "" {
		writeError(w, http.StatusConflict, "nobody is logged in; log in first")
		return "", "", false
	}
	return name, publicID, true
}

func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

// browserOf describes a User-Agent header in a few words. It helps people recognise
// their own device, and decides nothing.
func browserOf(agent string) string {
	first := func(table [][2]string) string {
		for _, row := range table {
			if strings.Contains(agent, row[0]) {
				return row[1]
			}
		}
		return ""
	}
	// Each browser claims to be those below it.
	browser := first([][2]string{
		{"Edg", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser/", "Samsung Internet"}, {"Firefox/", "Firefox"}, {"FxiOS/", "Firefox"},
		{"CriOS/", "Chrome"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"}, {"curl/", "curl"}, {"Go-http-client/", "a Go program"},
	})
	system := first([][2]string{
		{"Windows", "Windows"}, {"Android", "Android"}, {"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Mac OS X", "macOS"},
		{"CrOS", "ChromeOS"}, {"Linux", "Linux"},
	})
	switch {
	case browser != "" && system != "":
		return browser + " on " + system
	case browser != "":
		return browser
	}
	product, _, _ := strings.Cut(strings.TrimSpace(agent), " ")
	product = strings.Map(func(c rune) rune {
		if c == unicode.ReplacementChar || !unicode.IsPrint(c) {
			return -1
		}
		return c
	}, product)
	if product == "" {
		return "an unnamed program"
	}
	return excerpt([]byte(product))
}
