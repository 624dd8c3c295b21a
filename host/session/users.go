package session

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

// Errors of LogIn's arguments.
var (
	// ErrInvalidUser is returned when a user's name cannot be kept.
	ErrInvalidUser = errors.New("session: invalid user")

	// ErrInvalidNote is returned when a note about a session cannot be kept.
	ErrInvalidNote = errors.New("session: invalid note")
)

// Limits of LogIn's arguments, in bytes.
const (
	MaxUser = 1024
	MaxNote = 4096 // names and values together
)

// UserSession is a session of a user in a list of them.
type UserSession struct {
	// PublicID names the session to its user. It stays the same while the session
	// lives, and someone who knows it can do nothing but ask the application to end
	// the session.
	PublicID string

	// LoggedIn is when the user logged in with it, which may be later than Created.
	LoggedIn, Created, LastSeen, Expires time.Time

	// Note is what the application recorded at log-in: the browser, the address,
	// whatever it chose.
	Note map[string]string
}

// LogIn binds the session to a user, in place of the one it was bound to, and
// renews its id. [Manager.UserSessions] then finds the session, and
// [Manager.Revoke] ends it. The user recognises the session by the note; keep
// in it what the law and your users agree to, such as
//
//	map[string]string{"browser": r.UserAgent(), "address": r.RemoteAddr}
//
// It takes effect when the session is saved. It returns ErrInvalidUser for a
// name that is empty, too long, or has a NUL in it, ErrInvalidNote for a note
// that is too long or has one, and ErrHeadersSent like [Session.Renew]. A user
// who then has more sessions than Settings.MaxUserSessions loses the one whose
// log-in is the oldest.
//
// The values stay, and so do the session's own expiry and timeouts, unless they
// were another user's. If values of another user may be in it, begin anew with
// [Session.Destroy], or remove them with [Session.Clear].
//
// A client that never got the answer to a log-in and logs in again as the same
// user, within half a minute, gets the session of the first.
func (s *Session) LogIn(user string, note map[string]string) error {
	if user == "" || len(user) > MaxUser || strings.ContainsRune(user, 0) {
		return fmt.Errorf("%w: a user's name has %d bytes: must have 1 to %d and no NUL", ErrInvalidUser, len(user), MaxUser)
	}
	size := 0
	for name, value := range note {
		size += len(name) + len(value)
		if strings.ContainsRune(name, 0) || strings.ContainsRune(value, 0) {
			return fmt.Errorf("%w: the note %.40q has a NUL: must have none", ErrInvalidNote, name)
		}
	}
	if size > MaxNote {
		return fmt.Errorf("%w: the note has %d bytes: must have at most %d", ErrInvalidNote, size, MaxNote)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	publicID, err := s.manager.newPublicID()
	if err != nil {
		return err
	}
	if err := s.renewLocked(); err != nil {
		return err
	}
	s.bind = &binding{user: user, publicID: publicID, note: maps.Clone(note)}
	return nil
}

// User returns the user to whom the session is bound, or empty for nobody. Clear
// and Destroy unbind it.
func (s *Session) User() (string, error) {
	b, err := s.bound()
	return b.user, err
}

// PublicID returns the name of this session in its user's list, or empty if it
// is bound to nobody.
func (s *Session) PublicID() (string, error) {
	b, err := s.bound()
	return b.publicID, err
}

func (s *Session) bound() (binding, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bind != nil {
		return *s.bind, nil
	}
	if err := s.load(s.ctx); err != nil {
		return binding{}, err
	}
	b, _ := bindingOf(&s.overlay, s.record.Values)
	return b, nil
}

// UserSessions lists the sessions of a user, oldest log-in first. It lists
// every one that is alive: a session that is not in the list does not count,
// whatever the storage has lost. It drops entries of sessions that are gone.
func (m *Manager) UserSessions(ctx context.Context, user string) ([]UserSession, error) {
	list, err := m.listedSessions(ctx, user)
	if err != nil {
		return nil, err
	}
	var sessions []UserSession
	for _, s := range list {
		sessions = append(sessions, s.UserSession)
	}
	return sessions, nil
}

// UserSessionInfos is UserSessions in the form of [Manager.AllSessions], for those
// who run the application. It reads only the user's list and the sessions in it.
func (m *Manager) UserSessionInfos(ctx context.Context, user string) ([]SessionInfo, error) {
	list, err := m.listedSessions(ctx, user)
	if err != nil {
		return nil, err
	}
	var infos []SessionInfo
	for _, s := range list {
		infos = append(infos, s.info)
	}
	return infos, nil
}

// listedSession is a session that was found by its entry in a list.
type listedSession struct {
	UserSession
	info SessionInfo
}

// listedSessions finds the sessions of a user, oldest log-in first.
func (m *Manager) listedSessions(ctx context.Context, user string) ([]listedSession, error) {
	now := m.now()
	list, err := m.loadIndex(ctx, user, now)
	if err != nil {
		return nil, err
	}
	var sessions []listedSession
	// A session that gets a new id while its keys are looked up can be missed under
	// both. An entry counts as gone once its keys were looked up twice while it did not
	// change.
	entries, missed := list.entries, make(map[string]int)
	vanished := make(map[string]indexEntry)
	t := triesOf(ctx)
	for len(entries) > 0 {
		for publicID, entry := range entries {
			session, is, err := m.indexedSession(ctx, user, publicID, entry, now)
			if err != nil {
				return nil, err
			}
			if is == sessionAlive {
				sessions = append(sessions, session)
			}
			if is != sessionAbsent {
				delete(entries, publicID)
			}
		}
		if len(entries) == 0 {
			break
		}
		if err := m.again(t, "read a list of a user's sessions"); err != nil {
			return nil, err
		}
		if list, err = m.loadIndex(ctx, user, now); err != nil {
			return nil, err
		}
		for publicID, entry := range entries {
			next, ok := list.entries[publicID]
			switch {
			case !ok:
				delete(entries, publicID)
			case !next.same(entry):
				entries[publicID], missed[publicID] = next, 0
			case missed[publicID] == 0:
				missed[publicID] = 1
			default:
				delete(entries, publicID)
				if now-entry.added > indexWait {
					vanished[publicID] = entry
				}
			}
		}
	}
	// An entry that could not be dropped is not shown the next time either.
	_ = m.dropVanished(ctx, user, vanished)
	slices.SortFunc(sessions, func(a, b listedSession) int {
		return cmp.Or(a.LoggedIn.Compare(b.LoggedIn), strings.Compare(a.PublicID, b.PublicID))
	})
	return sessions, nil
}

// Revoke ends the session of a user that has the public id, and reports whether
// there was one. After it has returned without an error, no request brings the
// session back, not even one that was just about to make it, whatever the
// storage loses: see [EventUnlisted]. Errors are those of the storage; call it
// again then.
func (m *Manager) Revoke(ctx context.Context, user, publicID string) (ended bool, err error) {
	n, err := m.revokeWhere(ctx, user, func(h string) bool { return h == publicID })
	return n > 0, err
}

// RevokeAll ends all sessions of a user but those whose public ids are given,
// and returns how many; otherwise it is like Revoke. It ends those that were
// there when it was called: one that the user begins meanwhile may stay.
//
// To end all but the session of a request, for example after a change of the
// password, save it first, or what it was before is ended, too:
//
//	err := errors.Join(s.LogIn(user, note), s.Save())
//	publicID, _ := s.PublicID()
//	n, err := manager.RevokeAll(ctx, user, publicID)
func (m *Manager) RevokeAll(ctx context.Context, user string, except ...string) (n int, err error) {
	return m.revokeWhere(ctx, user, func(h string) bool { return !slices.Contains(except, h) })
}

func (m *Manager) revokeWhere(ctx context.Context, user string, which func(publicID string) bool) (n int, err error) {
	list, err := m.loadIndex(ctx, user, m.now())
	if err != nil {
		return 0, err
	}
	maps.DeleteFunc(list.entries, func(publicID string, _ indexEntry) bool { return !which(publicID) })
	if len(list.entries) == 0 && !list.corrupt {
		return 0, nil
	}
	targets := list.entries
	done := make(map[storageKey]bool)
	were := make(map[string]bool)
	var failed error
	err = m.changeIndex(ctx, user, 0, func(e map[string]indexEntry) bool {
		changed := false
		for publicID := range targets {
			// The entry as it is now: a session that got a new id meanwhile has it here
			// before it is stored under it.
			entry, ok := e[publicID]
			if !ok {
				entry = targets[publicID]
			}
			for _, key := range entry.keys {
				if done[key] {
					continue
				}
				var was bool
				if was, failed = m.revokeKey(ctx, key, nil); failed != nil {
					return false
				}
				done[key] = true
				if was {
					were[publicID] = true
				}
			}
			delete(e, publicID)
			changed = changed || ok
		}
		return changed
	})
	if failed != nil {
		err = failed
	}
	if err != nil {
		return 0, err
	}
	return len(were), nil
}

// revokeKey replaces a session, or one that is about to be stored, by a record
// that says that it has ended, and reports whether there was one. No session
// reaches the record's revision, so no commit takes it for what it knows. The
// event gives the reason, if there is one.
func (m *Manager) revokeKey(ctx context.Context, key storageKey, why error) (was bool, err error) {
	now, user, transport := m.now(), "", TransportAny
	switch old, err := m.records.Load(ctx, key[:], unjudged); {
	case err == nil:
		was = old.State != RecordEnded && !m.ended(&old, now)
		transport = old.Transport
		user = m.boundLabel(old.Values)
		if err := m.useUpRevoked(ctx, &old, now); err != nil {
			return false, err
		}
	case !errors.Is(err, store.ErrNotFound) && !isCorrupt(err):
		return false, err
	}
	r := m.tombstone(endedRevision, transport, now)
	if err := m.storeEnd(ctx, key[:], r, store.Any, now); err != nil {
		return false, err
	}
	if was {
		m.event(ctx, Event{Kind: EventDestroyed, Session: key.label(), User: user, Err: why})
	}
	return was, nil
}

const (
	// indexWait is how long an entry may wait for its session: it is listed first, so
	// that a session is never alive and not listed. In a full list, entries wait for
	// the shorter time.
	indexWait     = endedFor
	indexWaitFull = store.Millis(time.Minute / time.Millisecond)

	// maxIndex bounds a list in bytes; it has room for ten thousand sessions.
	maxIndex = 1 << 20
)

// presence is what exists of a listed session.
type presence uint8

const (
	sessionAbsent presence = iota
	sessionOver            // by the clock; the storage still has it
	sessionAlive
)

// indexedSession looks up an entry's session, and returns it as lists show it
// if it is alive.
func (m *Manager) indexedSession(ctx context.Context, user, publicID string, entry indexEntry, now store.Millis) (u listedSession, is presence, err error) {
	for _, key := range entry.keys {
		r, err := m.records.Load(ctx, key[:], unjudged)
		if errors.Is(err, store.ErrNotFound) || isCorrupt(err) {
			continue
		}
		if err != nil {
			return u, sessionAbsent, err
		}
		b, ok := bindingOf(&overlay{}, r.Values)
		if r.State != RecordSession || !ok || b.user != user || b.publicID != publicID {
			continue
		}
		if m.ended(&r, now) {
			is = sessionOver
			continue
		}
		return listedSession{UserSession{
			PublicID: publicID,
			LoggedIn: entry.since.Time(),
			Created:  r.Created.Time(),
			LastSeen: r.LastSeen.Time(),
			Expires:  m.endOf(&r).Time(),
			Note:     b.note,
		}, m.infoFor(key, &r, &b)}, sessionAlive, nil
	}
	return u, is, nil
}

// binding is what a session knows of its user; it is one of its values.
type binding struct {
	user, publicID string
	note           map[string]string
	until          store.Millis // how long the list of the user's sessions lasts
}

const (
	userKey      = reservedPrefix + "user"
	publicIDSize = 16
)

func (m *Manager) newPublicID() (string, error) {
	var bits [publicIDSize]byte
	if _, err := io.ReadFull(m.settings.Rand, bits[:]); err != nil {
		return "", fmt.Errorf("session: no random bits for a public id: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(bits[:]), nil
}

func (b *binding) encode() []byte {
	data := binary.LittleEndian.AppendUint64(nil, uint64(b.until))
	data = abi.AppendPair(data, b.user, b.publicID)
	for _, name := range slices.Sorted(maps.Keys(b.note)) {
		data = abi.AppendPair(data, name, b.note[name])
	}
	return data
}

// boundTo is the part of bindingOf that each read of a session needs. Its results
// lie within the values.
func boundTo(values Values) (user, publicID []byte, ok bool) {
	if !values.own {
		return nil, nil, false // the usual case: nothing of ours is in it
	}
	data, ok := values.lookup(userKey)
	if !ok || len(data) < 8 {
		return nil, nil, false
	}
	user, data, ok = bytes.Cut(data[8:], []byte{0})
	if !ok {
		return nil, nil, false
	}
	publicID, _, ok = bytes.Cut(data, []byte{0})
	return user, publicID, ok
}

// bindingOf reads the binding among a session's values.
func bindingOf(o *overlay, base Values) (b binding, ok bool) {
	data, ok := o.lookup(base, userKey)
	if !ok || len(data) < 8 {
		return b, false
	}
	b.until = store.Millis(binary.LittleEndian.Uint64(data))
	b.user, b.publicID, data, ok = abi.NextPair(data[8:])
	for ok && len(data) > 0 {
		var name, value string
		if name, value, data, ok = abi.NextPair(data); ok {
			if b.note == nil {
				b.note = make(map[string]string)
			}
			b.note[name] = value
		}
	}
	if !ok {
		return binding{}, false
	}
	return b, true
}
