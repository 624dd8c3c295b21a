package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/waddle-sessions/waddle/host/store"
)

// A request sent before a log-in or log-out may arrive after it. If its id were
// simply unknown by then, its first change would begin a new session, whose
// cookie would replace the one from the log-in. So a session that is ended or
// renewed leaves a tombstone, a RecordEnded, under its id. Requests that began
// within the grace and meet it read nothing, lose what they change, and send no
// cookie of any kind.
const (
	// endedGrace is how long after the end a request with the id may begin and still
	// count as sent before it.
	endedGrace = store.Millis(30 * time.Second / time.Millisecond)

	// endedFor is how long a tombstone is kept. It outlasts any request that
	// began within the grace, or was storing the session.
	endedFor = store.Millis(time.Hour / time.Millisecond)

	// endedRevision is a revision that no session reaches, so that no commit takes it
	// for the one it knows.
	endedRevision = 1 << 62

	// successorKey names the value in which a renewal's tombstone gives the storage key
	// under which the session goes on. No id can be made from it.
	successorKey = reservedPrefix + "successor"
)

// tombstone returns the record that is left of a session.
func (m *Manager) tombstone(revision uint64, t Transport, now store.Millis) *Record {
	return &Record{
		Revision:    revision,
		Codec:       m.settings.Codec.ID(),
		Created:     now,
		Expires:     now + endedFor,
		CookieUntil: now + endedGrace,
		Transport:   t,
		State:       RecordEnded,
	}
}

// storeEnd replaces a session with a tombstone. If there is no room for one, it
// removes the session, on the same condition: a log-out must not fail because a
// disk is full. The tombstone would only keep others from storing the session
// again, and there is no room for that either.
func (m *Manager) storeEnd(ctx context.Context, key []byte, left *Record, expect int64, now store.Millis) error {
	err := m.records.Store(ctx, key, left, expect, now)
	if !errors.Is(err, store.ErrNoSpace) {
		return err
	}
	gone := *left
	gone.Expires = 1
	if m.records.Store(ctx, key, &gone, expect, now) != nil {
		// A conflict may be with the tombstone itself, which was written but not made
		// durable. It would be taken for an end that another request made.
		return err
	}
	return nil
}

// setSuccessor records in a tombstone where the session goes on.
func (r *Record) setSuccessor(key storageKey) {
	var o overlay
	o.set(successorKey, key[:])
	r.Values = o.apply(0, Values{})
}

func (r *Record) successor() (key storageKey, ok bool) {
	data, ok := r.Values.lookup(successorKey)
	if !ok || len(data) != len(key) {
		return key, false
	}
	return storageKey(data), true
}

// endedBy returns what a tombstone says of the session: ErrGone or ErrRenewed.
func (r *Record) endedBy() error {
	if _, renewed := r.successor(); renewed {
		return ErrRenewed
	}
	return ErrGone
}

// withinGrace reports whether the request began before the grace of an ended
// session was over. A request that is not known to have begun earlier begins now.
func (s *Session) withinGrace(left *Record, now store.Millis) bool {
	if s.began != 0 {
		now = s.began
	}
	return now < left.CookieUntil
}

// Destroy ends the session. It removes it from the storage at once, with all
// changes of this request, and tells the browser to forget the cookie. What the
// request sets after that goes into a new session.
//
// If another request ended or renewed the session a moment ago, Destroy does
// nothing and tells the browser nothing, since it may have a newer cookie by now.
// What the request sets after that is dropped.
func (s *Session) Destroy() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.destroy()
}

func (s *Session) destroy() error {
	s.tries.begin()
	defer s.tries.end()
	if err := s.endRest(); err != nil {
		return err
	}
	if err := s.loadUnseen(s.saving()); err != nil {
		return err
	}
	if err := s.endOld(); err != nil {
		return err
	}
	ids := s.clientIDs()
	if s.id != "" && !slices.Contains(ids, s.id) {
		ids = append(ids[:len(ids):len(ids)], s.id)
	}
	ended, by := false, s.ended
	for _, id := range ids {
		switch was, err := s.remove(id); {
		case err == nil:
			ended = true
			s.unindex(was)
		case errors.Is(err, ErrGone):
			by = err
		case !errors.Is(err, store.ErrNotFound):
			s.storageFailed(err)
			return err
		}
	}
	endedID := s.endedID
	if s.id != "" {
		endedID = s.id
	}
	s.forget()
	s.ids, s.haveIDs, s.loaded = nil, true, true
	s.destroyed = ended || by == nil && len(ids) > 0
	if !ended && by != nil {
		s.ended, s.endedID = by, endedID
	} else {
		s.dropVisitor()
	}
	if s.w != nil {
		s.dropID()
	}
	return nil
}

// remove ends the session of an id and returns its values. It returns
// store.ErrNotFound if there is none, and ErrGone if another request was faster.
func (s *Session) remove(id string) (Values, error) {
	known := s.exists && id == s.id
	now := s.manager.now()
	for again := false; ; again = true {
		key, r, expect := s.key, s.record, int64(s.record.Revision)
		if !known || again {
			var err error
			if key, r, expect, err = s.findToEnd(id, known, now); err != nil {
				return Values{}, err
			}
		}
		// Only the record that was found may be removed: if the id is renewed at the same
		// time, the session would live on under an id that nobody saw.
		left := s.manager.tombstone(max(r.Revision+1, 1), r.Transport, now)
		left.Held = true
		if expect == store.Any {
			left.Revision = endedRevision
		}
		err := s.manager.storeEnd(s.saving(), key[:], left, expect, now)
		if err == nil {
			s.manager.event(s.ctx, Event{Kind: EventDestroyed, Session: key.label(), User: s.manager.boundLabel(r.Values)})
			return r.Values, nil
		}
		if !errors.Is(err, store.ErrConflict) {
			return Values{}, err
		}
		if err := s.manager.again(&s.tries, "end the session"); err != nil {
			return Values{}, err
		}
	}
}

// findToEnd returns the record to end for an id, and the condition. A record that
// cannot be read is ended as well: another program may have its key or codec.
func (s *Session) findToEnd(id string, known bool, now store.Millis) (key storageKey, r Record, expect int64, err error) {
	for range maxLeads + maxMoves {
		key = s.manager.keyOf(id)
		r, err = s.manager.records.Load(s.saving(), key[:], now)
		switch {
		case isCorrupt(err), err == nil && int64(r.Revision) <= 0:
			return key, Record{Transport: TransportAny}, store.Any, nil
		case errors.Is(err, store.ErrNotFound):
			// If the clock is ahead, it may only seem to be over, and would be back
			// when the clock is right again.
			if err := s.manager.records.Delete(s.saving(), key[:], now); err != nil {
				return key, r, 0, err
			}
			return key, r, 0, store.ErrNotFound
		case err != nil:
			return key, r, 0, err
		case r.isWord():
			return key, r, 0, store.ErrNotFound
		case !s.accepts(r.Transport):
			// An id that came another way than its session's must not end it.
			s.manager.event(s.ctx, Event{Kind: EventRejected, Session: key.label()})
			return key, r, 0, store.ErrNotFound
		case r.State == RecordSession:
			return key, r, int64(r.Revision), nil
		case !known && !s.withinGrace(&r, now):
			return key, r, 0, store.ErrNotFound
		case r.State == RecordEnded:
			return key, r, 0, r.endedBy()
		}
		if id, err = movedTo(id, &r); err != nil {
			return key, Record{Transport: r.Transport}, store.Any, nil
		}
	}
	return key, r, 0, store.ErrNotFound
}

// lose makes this the session of a client whose session another request ended:
// empty, and keeping nothing that is set from now on.
func (s *Session) lose(by error) {
	id := s.endedID
	if s.id != "" {
		id = s.id
	}
	s.forget()
	s.ended, s.endedID = by, id
}

// gone drops the pending changes of a session that another request ended.
func (s *Session) gone(by error) error {
	err := fmt.Errorf("%w; its changes were dropped", by)
	s.event(EventGone, err)
	s.lose(by)
	return err
}

// survives decides what becomes of the pending changes of a session that has
// ended. They are dropped. But a log-in or renewal begins a new session if its
// request had not seen the old one (saw is false): the user has just shown who
// they are. A log-in whose request has seen the session was meant for what it
// saw, and goes on only with exactly that.
func (s *Session) survives(by error, saw bool) error {
	if !s.renew {
		return s.gone(by)
	}
	if s.id != "" {
		s.endedID = s.id
	}
	s.id, s.key, s.record, s.exists = "", storageKey{}, Record{}, false
	s.ended = by
	if err := s.inherit(); err != nil {
		return err
	}
	if saw && !s.inherited() {
		return s.gone(by)
	}
	return nil
}

// inherit makes a log-in go on with the session that an earlier log-in of the
// same user made from the ended one, if nobody has come with its id: the response
// with the id got lost. That session's values are the client's own, and it would
// stay in the list with nobody holding it. A session made by another user's
// log-in, or by a renewal alone, is not inherited: whoever planted the client's
// old id may be the one who asks.
//
// Until it gets its new id, such a session exists without one.
func (s *Session) inherit() error {
	if s.bind == nil || s.endedID == "" {
		return nil
	}
	now := s.manager.now()
	key := s.manager.keyOf(s.endedID)
	for hop := range maxLeads {
		r, err := s.fetchKey(s.saving(), key, now)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if r.State == RecordSession {
			b, ok := bindingOf(&overlay{}, r.Values)
			if hop > 0 && !r.Held && ok && b.user == s.bind.user {
				s.key, s.record, s.exists = key, r, true
			}
			return nil
		}
		next, ok := r.successor()
		if r.State != RecordEnded || !ok || hop > 0 && r.Held {
			return nil
		}
		key = next
	}
	return nil
}

// inherited reports whether the session comes from inherit.
func (s *Session) inherited() bool { return s.exists && s.id == "" }

// renounce undoes inherit.
func (s *Session) renounce() {
	if s.inherited() {
		s.key, s.record, s.exists = storageKey{}, Record{}, false
	}
}

// halfEnded is a session that was renewed without the storage saying whether the
// old record is gone.
type halfEnded struct {
	id  string // empty for a session from inherit
	key storageKey
}

// endRest ends what a renewal left in doubt, before anything else is saved.
func (s *Session) endRest() error {
	half := s.seldom.halfEnded()
	if half == nil {
		return nil
	}
	var err error
	if half.id == "" {
		_, err = s.manager.revokeKey(s.saving(), half.key, nil)
	} else {
		_, err = s.remove(half.id)
	}
	if err == nil || errors.Is(err, store.ErrNotFound) || errors.Is(err, ErrGone) {
		s.seldom.half = nil
		return nil
	}
	s.storageFailed(err)
	return fmt.Errorf("session: the session has its new id, but the old one could not be ended: %w", err)
}

// fetchKey is fetch for another key than the session's own.
func (s *Session) fetchKey(ctx context.Context, key storageKey, now store.Millis) (r Record, err error) {
	kept := s.key
	defer func() { s.key = kept }()
	s.key = key
	err = s.fetch(ctx, now, &r)
	return r, err
}
