package serving

import (
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/waddle-sessions/waddle/host/session"
)

// commitRequest is the body of /v1/commit.
type commitRequest struct {
	id            string
	revision      count
	fail          bool
	set           []named
	remove        []string
	clear, renew  bool
	modified      bool
	login         object
	user          required
	note          map[string]string
	expiry        object
	lifetime      millis
	idle          millis
	absolute      millis
	expires       moment
	reset         bool
	persistence   word
	persistenceOf session.Persistence
}

// MaxChanges is how many values one commit may set and remove. A session looks for each
// among all of its values.
const MaxChanges = 1000

// readCommit reads and checks a body by itself.
func readCommit(body []byte) (*commitRequest, error) {
	q := &commitRequest{}
	onConflict := "merge"
	q.login.fields = fields{"user": &q.user, "note": &q.note}
	q.expiry.fields = fields{
		"lifetime_ms": &q.lifetime, "expires": &q.expires, "idle_timeout_ms": &q.idle, "absolute_timeout_ms": &q.absolute,
		"persistence": &q.persistence, "reset": &q.reset,
	}
	var id required
	err := readBody(body, fields{
		"id": &id, "revision": &q.revision, "on_conflict": &onConflict, "set": &q.set, "delete": &q.remove,
		"clear": &q.clear, "renew": &q.renew, "modified": &q.modified, "log_in": &q.login, "expiry": &q.expiry,
	})
	if err != nil {
		return nil, err
	}
	q.id, q.fail = string(id), onConflict == "fail"
	switch {
	case onConflict != "merge" && onConflict != "fail":
		return nil, badRequest("on_conflict is %s: must be merge or fail", excerpt(onConflict))
	case q.id == "" && q.revision.given:
		return nil, badRequest("revision is given, and id is empty: must be left out, since a new session has none yet")
	case q.fail && q.id != "" && (!q.revision.given || q.revision.n == 0):
		return nil, badRequest("revision is missing: must be the one that the session had when it was loaded, with on_conflict fail")
	case q.lifetime.given && q.expires.given:
		return nil, badRequest("lifetime_ms and expires are both given: must be one of them")
	}
	if q.persistence.given {
		i := slices.Index(persistences[:], q.persistence.s)
		if i < 0 {
			return nil, badRequest("persistence is %s: must be default, browser or persist", excerpt(q.persistence.s))
		}
		q.persistenceOf = session.Persistence(i)
	}
	if n := len(q.set) + len(q.remove); n > MaxChanges {
		return nil, badRequest("set and delete have %d names: must have at most %d together", n, MaxChanges)
	}
	removed := make(map[string]bool, len(q.remove))
	for _, name := range q.remove {
		removed[name] = true
	}
	for _, v := range q.set {
		if strings.ContainsRune(v.name, utf8.RuneError) {
			return nil, badRequest("set has %s: must have names that are whole characters", excerpt(v.name))
		}
		if removed[v.name] {
			return nil, badRequest("set and delete both have %s: must be in one of them", excerpt(v.name))
		}
	}
	return q, nil
}

// apply makes the changes. Nobody sees them before they are saved.
func (q *commitRequest) apply(one *session.Session) error {
	if q.modified || q.id == "" {
		one.SetModified() // a new one is stored even if it is empty
	}
	if q.clear {
		if err := one.Clear(); err != nil {
			return err
		}
	}
	for _, name := range q.remove {
		if err := one.Delete(name); err != nil {
			return err
		}
	}
	for _, v := range q.set {
		if err := one.SetEncoded(v.name, v.value); err != nil {
			return err
		}
	}
	if err := q.applyExpiry(one); err != nil {
		return err
	}
	switch {
	case q.login.given:
		return one.LogIn(string(q.user), q.note)
	case q.renew:
		return one.Renew()
	}
	return nil
}

// applyExpiry changes timeouts before ends: an end must come before the timeouts.
func (q *commitRequest) applyExpiry(one *session.Session) error {
	if q.reset {
		one.ResetExpiry()
	}
	var errs []error
	if q.idle.given {
		errs = append(errs, one.SetIdleTimeout(q.idle.d))
	}
	if q.absolute.given {
		errs = append(errs, one.SetAbsoluteTimeout(q.absolute.d))
	}
	if q.lifetime.given {
		errs = append(errs, one.SetExpiry(q.lifetime.d))
	}
	if q.expires.given {
		errs = append(errs, one.SetExpiryTime(q.expires.t))
	}
	if q.persistence.given {
		one.SetPersistence(q.persistenceOf)
	}
	return errors.Join(errs...)
}
