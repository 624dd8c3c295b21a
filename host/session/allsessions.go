package session

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/waddle-sessions/waddle/host/store"
)

// SessionInfo is a session in a list of all of them. It has nothing by which
// somebody could act as the session, and none of its values.
type SessionInfo struct {
	// Handle names the session to [Manager.RevokeHandle], as long as the session
	// keeps its id.
	Handle string

	// User is whom the session is bound to, and PublicID its name in that user's
	// list. Both are empty if it is bound to nobody.
	User, PublicID string

	Created, LastSeen, Expires time.Time

	// Size is the length of the session's record in bytes, as Settings.MaxSize
	// counts it.
	Size int
}

// RecordLister is a [RecordStore] that can enumerate the keys of its records, as
// [store.Lister] does. [Manager.AllSessions] needs it.
type RecordLister interface {
	Keys(ctx context.Context, now store.Millis) iter.Seq2[[]byte, error]
}

// AllSessions lists every session that is alive, in no order, for those who run
// the application. It reads each record, and the list of its user, so it takes
// as long as the storage is large; stop early to see some. A session that begins,
// ends or gets a new id meanwhile may be missing or appear twice.
//
// Records do not tell the namespace that they belong to. Over a store that
// managers of several namespaces share, sessions that are bound to nobody are
// listed by each of them.
//
// It yields [store.ErrUnsupported] if the storage cannot enumerate, and its other
// errors, each as the last element. A record that cannot be read is left out; an
// EventCorrupt at the end says how many were.
func (m *Manager) AllSessions(ctx context.Context) iter.Seq2[SessionInfo, error] {
	return func(yield func(SessionInfo, error) bool) {
		unreadable, why := 0, error(nil)
		defer func() {
			if unreadable > 0 {
				m.event(ctx, Event{Kind: EventCorrupt, Err: fmt.Errorf("%d records could not be read for a list of all sessions; the first: %w", unreadable, why)})
			}
		}()
		for key, err := range m.recordKeys(ctx) {
			if err != nil {
				yield(SessionInfo{}, err)
				return
			}
			if len(key) != len(storageKey{}) {
				continue // somebody else's, in a store that is shared
			}
			_, info, ok, err := m.infoOf(ctx, storageKey(key))
			switch {
			case isCorrupt(err):
				if unreadable++; why == nil {
					why = err
				}
			case err != nil:
				yield(SessionInfo{}, err)
				return
			case ok && !yield(info, nil):
				return
			}
		}
	}
}

// RevokeHandle ends the session that [Manager.AllSessions] gave the handle, and
// reports whether there was one. It is like [Manager.Revoke] otherwise. A session
// that was bound to a user or renewed since is followed to its new id, but one
// whose id was renewed by age is not: its handle is then ErrRenewed. List the
// sessions again, or use Revoke for one that is bound to a user.
func (m *Manager) RevokeHandle(ctx context.Context, handle string) (ended bool, err error) {
	key, ok := keyOfHandle(handle)
	if !ok {
		return false, nil
	}
	t := triesOf(ctx)
	t.begin()
	defer t.end()
	for range maxLeads + maxMoves {
		now := m.now()
		r, err := m.records.Load(ctx, key[:], unjudged)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return false, nil
		case err != nil:
			return false, err
		case r.State == RecordMoved:
			return false, fmt.Errorf("%w; list the sessions again", ErrRenewed)
		case r.State == RecordEnded:
			if key, ok = r.successor(); !ok {
				return false, nil
			}
			continue
		case isList(&r):
			return false, nil
		}
		if b, bound := bindingOf(&overlay{}, r.Values); bound {
			return m.Revoke(ctx, b.user, b.publicID)
		}
		if m.ended(&r, now) {
			// If the clock is ahead, it would be back when the clock is right again.
			return m.revokeKey(ctx, key, nil)
		}
		// Only the record that was read may be ended: a session that is renewed at the
		// same time would live on under its new id.
		left := m.tombstone(r.Revision+1, r.Transport, now)
		if err := m.useUpRevoked(ctx, &r, now); err != nil {
			return false, err
		}
		err = m.storeEnd(ctx, key[:], left, int64(r.Revision), now)
		if err == nil {
			m.event(ctx, Event{Kind: EventDestroyed, Session: key.label()})
			return true, nil
		}
		if !errors.Is(err, store.ErrConflict) {
			return false, err
		}
		if err := m.again(t, "end a session"); err != nil {
			return false, err
		}
	}
	return false, fmt.Errorf("%w; list the sessions again", ErrRenewed)
}

// recordKeys enumerates the keys of all records.
func (m *Manager) recordKeys(ctx context.Context) iter.Seq2[[]byte, error] {
	if lister, ok := m.records.RecordStore.(RecordLister); ok {
		return lister.Keys(ctx, m.now())
	}
	return func(yield func([]byte, error) bool) {
		yield(nil, fmt.Errorf("%w: Settings.Records keeps the sessions in a form of its own, without the method Keys of RecordLister", store.ErrUnsupported))
	}
}

// Keys implements RecordLister.
func (r records) Keys(ctx context.Context, now store.Millis) iter.Seq2[[]byte, error] {
	return store.Keys(ctx, r.store, now)
}

// infoOf loads and describes the session under a key. ok is false if there is none
// that counts.
func (m *Manager) infoOf(ctx context.Context, key storageKey) (r Record, info SessionInfo, ok bool, err error) {
	now := m.now()
	r, err = m.records.Load(ctx, key[:], now)
	if errors.Is(err, store.ErrNotFound) {
		return r, info, false, nil
	}
	if err != nil || r.State != RecordSession || isList(&r) || m.ended(&r, now) {
		return r, info, false, err
	}
	b, bound := bindingOf(&overlay{}, r.Values)
	if bound {
		// As in a request, a session that its user's list does not have does not count.
		list, err := m.loadIndex(ctx, b.user, now)
		if err != nil || !list.has(b.publicID, key) {
			return r, info, false, err
		}
	}
	return r, m.infoFor(key, &r, &b), true, nil
}

func (m *Manager) infoFor(key storageKey, r *Record, b *binding) SessionInfo {
	return SessionInfo{
		Handle:   key.handle(),
		User:     b.user,
		PublicID: b.publicID,
		Created:  r.Created.Time(),
		LastSeen: r.LastSeen.Time(),
		Expires:  m.endOf(r).Time(),
		Size:     r.size(),
	}
}

func (u *userIndex) has(publicID string, key storageKey) bool {
	for _, k := range u.entries[publicID].keys {
		if k == key {
			return true
		}
	}
	return false
}

// isList reports whether a record is the list of a user's sessions.
func isList(r *Record) bool {
	_, ok := r.Values.lookup(indexKey)
	return ok
}

// handleEncoding has letters, digits, dots and underscores: a handle that began with a
// hyphen would be a flag to a command.
var handleEncoding = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._").WithPadding(base64.NoPadding).Strict()

// HandleOf returns the handle of the session whose record is stored under a key, for
// tools that read a store. Like the key itself it leads to no id.
func HandleOf(key []byte) string { return handleEncoding.EncodeToString(key) }

func (k storageKey) handle() string { return HandleOf(k[:]) }

func keyOfHandle(handle string) (key storageKey, ok bool) {
	b, err := handleEncoding.DecodeString(handle)
	if err != nil || len(b) != len(key) {
		return key, false
	}
	return storageKey(b), true
}
