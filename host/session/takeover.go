package session

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/waddle-sessions/waddle/host/store"
)

// OldSession is a session that another library keeps of a request's visitor, for
// [Session.TakeOver].
type OldSession struct {
	// Token is the secret by which the other library knows the session: the value of
	// its cookie. The same token must always stand for the same session.
	Token string

	// Fill reads the old session and puts into fresh what goes on: values, the user by
	// LogIn, a time to live of its own. It reports whether there is an old session; if
	// there is none, fresh is dropped. An error is the error of the request's access to
	// its session, and the next request tries again. Fill must not use the request's own
	// session, which waits for it.
	Fill func(ctx context.Context, fresh *Session) (found bool, err error)

	// Remove removes the old session from its storage, after the fresh one is stored;
	// nil if it is only in its cookie. It may be called again for a session that is gone.
	// An error is an EventUnavailable and fails no request, since the token is used up
	// anyway.
	Remove func(ctx context.Context) error

	// Cookie is the old cookie, with the name, domain and path by which the browser
	// forgets it when it gets the new one; nil for none.
	Cookie *http.Cookie

	// Until is when old sessions stop counting. Until then the storage remembers which
	// tokens are used up.
	Until time.Time
}

// TakeOver lets the request go on with a session of another library, so that a
// change of the library logs nobody out. It is for middleware inside
// [Manager.Handler] and must be called before anything accesses the session. It
// does nothing by itself: the first access calls Fill if the request has no session
// of this manager. The fresh session is stored at once, before the old one is
// removed, so that a crash in between logs nobody out.
//
// A token is taken over once. Requests that bring the same one at the same time,
// to whatever server, get one session. It moves to an id of its own with the
// first response, and the old token leads to it for half a minute more, or for
// RenewGrace if that is longer. After that the token is worthless, and so it is
// when that session was ended, whether or not Remove has worked. If the request
// has a session of ours, the old one stays as it is; Destroy then ends both, since
// the next request would go on with the old one.
//
// TakeOver does nothing after Until, for a session without a response, and for a
// client that sends [Settings.TokenHeader].
func (s *Session) TakeOver(old OldSession) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old.Token == "" || s.loaded || s.w == nil || s.manager.now() >= store.At(old.Until) {
		return
	}
	s.rarely().old = &old
}

// takenKey marks a session whose id was made from an old token, until it gets one
// of its own. It has the storage key under which the token is to be used up, and until
// when: who ends the session does that too, for a crash may have prevented it.
const takenKey = reservedPrefix + "taken"

// errTaken is returned when another request was faster to take over an old session.
var errTaken = fmt.Errorf("%w: another request took over the same old session", ErrGone)

// takenID makes the id under which the session of an old token begins. All
// requests with the token make the same one, so that the storage lets one of them
// create the session. The id is known only to those who know the token, or to whom this
// package sent the id.
func takenID(token string) string { return idFrom("waddle taken id 1\x00", token) }

// usedID makes the id whose record says that the session of an old token has begun.
func usedID(id string) string { return idFrom("waddle used token 1\x00", id) }

func idFrom(domain, secret string) string {
	sum := sha256.Sum256([]byte(domain + secret))
	return idEncoding.EncodeToString(sum[:])
}

// takenOver reports whether the id of a record was made from an old token.
func (r *Record) takenOver() bool {
	if !r.Values.own {
		return false
	}
	_, ok := r.Values.lookup(takenKey)
	return ok
}

func takenMark(used storageKey, until store.Millis) []byte {
	return binary.LittleEndian.AppendUint64(used[:], uint64(until))
}

// useUpRevoked makes the token worthless from which a session comes that somebody else ends.
func (m *Manager) useUpRevoked(ctx context.Context, r *Record, now store.Millis) error {
	if !r.Values.own {
		return nil
	}
	mark, _ := r.Values.lookup(takenKey)
	if len(mark) != len(storageKey{})+8 {
		return nil
	}
	used, until := mark[:len(storageKey{})], binary.LittleEndian.Uint64(mark[len(storageKey{}):])
	err := m.storeUsed(ctx, storageKey(used), store.Millis(until), now)
	if errors.Is(err, store.ErrNoSpace) {
		return nil // as in storeEnd
	}
	return err
}

// takeOver finds or makes the session of the request's old token. ended is set if
// that was ended a moment ago.
func (s *Session) takeOver(ctx context.Context, now store.Millis) (ended, err error) {
	id := takenID(s.seldom.old.Token)
	// Another request may begin the session, and remove the old one, after this one has
	// looked for either. It says so in between, so a session that is used up is looked
	// for once more.
	const tries = 4
	over := false
	for range tries {
		current, key, err := s.find(ctx, id, now, &s.record, false)
		switch {
		case err == nil:
			if current == id {
				if err := s.useUp(id, now); err != nil {
					return nil, err
				}
			}
			s.id, s.key, s.exists, s.resend, s.seldom.oldUsed = current, key, true, true, true
			return nil, nil
		case errors.Is(err, ErrGone):
			s.endedID = current
			return err, nil
		case !errors.Is(err, store.ErrNotFound):
			return nil, err
		}
		if over {
			return nil, nil
		}
		if over, err = s.usedUp(id, now); err != nil {
			return nil, err
		}
		if over {
			continue
		}
		found, err := s.fillFresh(id, now)
		if err == nil && !found {
			if over, err = s.usedUp(id, now); err != nil || !over {
				return nil, err
			}
		}
		if err != nil && !errors.Is(err, errTaken) {
			return nil, err
		}
	}
	key := s.manager.keyOf(id)
	if r, err := s.manager.records.Load(s.loading(), key[:], now); err == nil && r.State == RecordEnded {
		return nil, nil // it was ended before it was stored: see Manager.Revoke
	}
	return nil, fmt.Errorf("%w: the record of a session that was taken over cannot be read back", store.ErrInternal)
}

// fillFresh begins the session of an old token under an id that follows from it.
func (s *Session) fillFresh(id string, now store.Millis) (found bool, err error) {
	fresh := &Session{haveIDs: true, transport: TransportCookie, began: now, seldom: &seldom{takes: id}}
	fresh.attach(s.manager, s.ctx, nil)
	if found, err := s.seldom.old.Fill(s.ctx, fresh); err != nil || !found {
		return false, err
	}
	fresh.mu.Lock()
	defer fresh.mu.Unlock()
	fresh.force = true
	fresh.overlay.set(takenKey, takenMark(s.manager.keyOf(usedID(id)), store.At(s.seldom.old.Until)))
	err = fresh.commit(nil)
	if errors.Is(err, errTaken) && fresh.bind != nil {
		// The user's list has an entry for each of the two sessions, and this one is not
		// stored.
		mine := fresh.bind.publicID
		err = errors.Join(err, s.manager.changeIndex(s.saving(), fresh.bind.user, 0, func(e map[string]indexEntry) bool {
			_, ok := e[mine]
			delete(e, mine)
			return ok
		}))
	}
	return true, err
}

// useUp makes an old token worthless once its session is stored. It is called
// again if a crash may have prevented it.
func (s *Session) useUp(id string, now store.Millis) error {
	err := s.manager.storeUsed(s.saving(), s.manager.keyOf(usedID(id)), store.At(s.seldom.old.Until), now)
	if err == nil {
		s.removeOld(id)
	}
	return err
}

// storeUsed stores the record that says that the session of a token has begun.
func (m *Manager) storeUsed(ctx context.Context, key storageKey, until, now store.Millis) error {
	used := m.tombstone(1, TransportCookie, now)
	used.Expires, used.CookieUntil = until, 0
	err := m.records.Store(ctx, key[:], used, store.Absent, now)
	if errors.Is(err, store.ErrConflict) {
		return nil
	}
	return err
}

func (s *Session) removeOld(id string) {
	if s.seldom.old.Remove == nil {
		return
	}
	if err := s.seldom.old.Remove(s.ctx); err != nil {
		s.manager.event(s.ctx, Event{Kind: EventUnavailable, Session: s.manager.keyOf(id).label(), Err: fmt.Errorf("session: an old session was taken over and could not be removed: %w", err)})
	}
}

// endOld ends the old session of a request that has a session of ours as well, which is
// being ended. Whatever cannot be read is taken for a session.
func (s *Session) endOld() error {
	old := s.seldom.oldSession()
	if old == nil || s.seldom.oldUsed || s.transport != TransportCookie || !s.exists && s.ended == nil {
		return nil
	}
	now, id := s.manager.now(), takenID(old.Token)
	unused := &Session{haveIDs: true, transport: TransportCookie, began: now}
	unused.attach(s.manager, s.ctx, nil)
	if found, err := old.Fill(s.ctx, unused); err == nil && !found {
		return nil // not everything that a client sends is remembered
	}
	err := s.manager.storeUsed(s.saving(), s.manager.keyOf(usedID(id)), store.At(old.Until), now)
	if err != nil && !errors.Is(err, store.ErrNoSpace) {
		s.storageFailed(err)
		return err
	}
	s.removeOld(id)
	s.seldom.oldUsed = true
	return nil
}

func (s *Session) usedUp(id string, now store.Millis) (bool, error) {
	key := s.manager.keyOf(usedID(id))
	_, err := s.manager.records.Load(s.loading(), key[:], now)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil || isCorrupt(err), err
}

// keepTaken takes the mark from a session that gets an id of its own, and keeps it for one
// that does not, even if all values are removed: its id still follows from the token.
func (s *Session) keepTaken(t *attempt, o *overlay) *overlay {
	if !s.exists || !s.record.takenOver() || !t.fresh && !o.cleared {
		return o
	}
	with := o.copy()
	if t.fresh {
		with.delete(takenKey, s.record.Values)
		return &with
	}
	mark, _ := s.record.Values.lookup(takenKey)
	with.set(takenKey, mark)
	return &with
}

// forgetOld makes the browser forget the old cookie, ahead of the new one, which
// may have the same name.
func (s *Session) forgetOld(h http.Header) {
	old := s.seldom.oldSession()
	if old == nil || !s.seldom.oldUsed || old.Cookie == nil || s.answer.cookie == "" {
		return
	}
	c := *old.Cookie
	c.Quoted = false
	h["Set-Cookie"] = append([]string{removal(&c)}, h["Set-Cookie"]...)
}
