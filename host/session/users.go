package session

import (
	"context"
	"crypto/sha256"
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

// ErrUser is a user's name, or a note about a session, that cannot be kept.
var ErrUser = errors.New("session: invalid user or note")

// Limits of what LogIn takes, in bytes.
const (
	MaxUser = 1024
	MaxNote = 4096 // names and values together
)

// UserSession is a session of a user as lists of them show it.
type UserSession struct {
	// Handle names the session towards its user: it stays the same while the
	// session lives, and whoever knows it can do nothing but ask the
	// application to end the session.
	Handle string

	Created, Seen, Expires time.Time

	// Note is what the application had to say at log-in: the browser, the
	// address, whatever it chose.
	Note map[string]string
}

// LogIn binds the session to a user, in place of the one it was bound to, and
// renews its id. The session is then found by [Manager.Sessions] and ended by
// [Manager.End]. The note is for the user to recognise the session by; keep in
// it what the law and your users agree to, such as
//
//	map[string]string{"browser": r.UserAgent(), "address": r.RemoteAddr}
//
// It takes effect when the session is saved. It returns ErrUser for a name
// that is empty, too long, or has a NUL in it, and likewise for the note;
// ErrHeadersSent as [Session.Renew] does.
func (s *Session) LogIn(user string, note map[string]string) error {
	if user == "" || len(user) > MaxUser || strings.ContainsRune(user, 0) {
		return fmt.Errorf("%w: a user's name has 1 to %d bytes and no NUL; this one has %d", ErrUser, MaxUser, len(user))
	}
	size := 0
	for name, value := range note {
		size += len(name) + len(value)
		if strings.ContainsRune(name, 0) || strings.ContainsRune(value, 0) {
			return fmt.Errorf("%w: the note %.40q has a NUL", ErrUser, name)
		}
	}
	if size > MaxNote {
		return fmt.Errorf("%w: a note of %d bytes, and the most is %d", ErrUser, size, MaxNote)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	handle, err := s.manager.newHandle()
	if err != nil {
		return err
	}
	if err := s.renewLocked(); err != nil {
		return err
	}
	s.bind = &binding{user: user, handle: handle, note: maps.Clone(note)}
	return nil
}

// User returns whom the session is bound to, empty for nobody. Clear and
// Destroy unbind it.
func (s *Session) User() (string, error) {
	b, err := s.bound()
	return b.user, err
}

// Handle returns what this session is called in its user's list, empty if it is
// bound to nobody.
func (s *Session) Handle() (string, error) {
	b, err := s.bound()
	return b.handle, err
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

// Sessions lists the sessions of a user, oldest first. Entries of sessions that
// are no more are dropped on the way.
func (m *Manager) Sessions(ctx context.Context, user string) ([]UserSession, error) {
	now := m.now()
	list, err := m.loadIndex(ctx, user, now)
	if err != nil {
		return nil, err
	}
	var sessions []UserSession
	vanished := make(map[string]indexEntry)
	for handle, entry := range list.entries {
		session, alive, err := m.listed(ctx, user, handle, entry, now)
		switch {
		case err != nil:
			return nil, err
		case alive:
			sessions = append(sessions, session)
		case now-entry.added > healAfter:
			vanished[handle] = entry
		}
	}
	if len(vanished) > 0 {
		err = m.changeIndex(ctx, user, 0, func(e map[string]indexEntry) bool {
			before := len(e)
			maps.DeleteFunc(e, func(handle string, entry indexEntry) bool {
				seen, ok := vanished[handle]
				return ok && slices.Equal(seen.keys, entry.keys)
			})
			return len(e) != before
		})
	}
	slices.SortFunc(sessions, func(a, b UserSession) int {
		return cmpOr(a.Created.Compare(b.Created), strings.Compare(a.Handle, b.Handle))
	})
	return sessions, err
}

// End ends the session of a user that has the handle, and reports whether there
// was one. When it has returned, no request brings the session back, be it one
// that was just about to make it.
func (m *Manager) End(ctx context.Context, user, handle string) (ended bool, err error) {
	n, err := m.endWhere(ctx, user, func(h string) bool { return h == handle })
	return n > 0, err
}

// EndAll ends all sessions of a user but those whose handles are given, and
// returns how many. It ends those that were there when it was called: one
// that the user begins meanwhile may stay.
func (m *Manager) EndAll(ctx context.Context, user string, except ...string) (n int, err error) {
	return m.endWhere(ctx, user, func(h string) bool { return !slices.Contains(except, h) })
}

func (m *Manager) endWhere(ctx context.Context, user string, which func(handle string) bool) (n int, err error) {
	list, err := m.loadIndex(ctx, user, m.now())
	if err != nil {
		return 0, err
	}
	maps.DeleteFunc(list.entries, func(handle string, _ indexEntry) bool { return !which(handle) })
	if len(list.entries) == 0 {
		return 0, nil
	}
	targets := list.entries
	done := make(map[storageKey]bool)
	var failed error
	err = m.changeIndex(ctx, user, 0, func(e map[string]indexEntry) bool {
		changed := false
		for handle := range targets {
			// The entry as it is now: a session that got a new id meanwhile
			// has it here before it is stored under it.
			entry, ok := e[handle]
			if !ok {
				entry = targets[handle]
			}
			for _, key := range entry.keys {
				if done[key] {
					continue
				}
				if failed = m.endKey(ctx, key); failed != nil {
					return false
				}
				done[key] = true
			}
			delete(e, handle)
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
	return len(targets), nil
}

// endKey puts in place of a session, or of one that is about to be stored, a
// record that says that it has ended. The revision is one that no session
// reaches, so that no commit takes it for what it knows.
func (m *Manager) endKey(ctx context.Context, key storageKey) error {
	now := m.now()
	r := Record{Revision: endedRevision, Codec: m.settings.Codec.ID(), Created: now, Expires: now + endedFor, State: RecordEnded}
	if err := m.engine.Store(ctx, key[:], &r, store.Any, now); err != nil {
		return err
	}
	m.event(ctx, Event{Kind: EventDestroyed, Session: key.label()})
	return nil
}

const (
	endedRevision = 1 << 62

	// endedFor outlasts any request that was storing the session.
	endedFor = int64(time.Hour / time.Millisecond)

	// healAfter is how long an entry may wait for its session: it is listed
	// first, so that a session is never alive and not listed.
	healAfter = int64(time.Minute / time.Millisecond)
)

// listed returns what a list says of an entry's session, if it is alive.
func (m *Manager) listed(ctx context.Context, user, handle string, entry indexEntry, now int64) (u UserSession, alive bool, err error) {
	for _, key := range entry.keys {
		r, err := m.engine.Load(ctx, key[:], now)
		if errors.Is(err, store.ErrNotFound) || isCorrupt(err) {
			continue
		}
		if err != nil {
			return u, false, err
		}
		b, ok := bindingOf(&overlay{}, r.Values)
		if r.State == RecordSession && !m.ended(&r, now) && ok && b.user == user && b.handle == handle {
			return UserSession{
				Handle:  handle,
				Created: time.UnixMilli(r.Created),
				Seen:    time.UnixMilli(r.Seen),
				Expires: time.UnixMilli(r.Expires),
				Note:    b.note,
			}, true, nil
		}
	}
	return u, false, nil
}

// binding is what a session knows of its user; it is one of its values.
type binding struct {
	user, handle string
	note         map[string]string
	until        int64 // that the list of the user's sessions lasts
}

const (
	userKey    = reservedPrefix + "user"
	handleSize = 16
)

func (m *Manager) newHandle() (string, error) {
	var bits [handleSize]byte
	if _, err := io.ReadFull(m.settings.Rand, bits[:]); err != nil {
		return "", fmt.Errorf("session: no random bits for a handle: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(bits[:]), nil
}

func (b *binding) encode() []byte {
	data := binary.LittleEndian.AppendUint64(nil, uint64(b.until))
	data = abi.AppendPair(data, b.user, b.handle)
	for _, name := range slices.Sorted(maps.Keys(b.note)) {
		data = abi.AppendPair(data, name, b.note[name])
	}
	return data
}

// bindingOf reads the binding among a session's values.
func bindingOf(o *overlay, base Values) (b binding, ok bool) {
	data, ok := o.lookup(base, userKey)
	if !ok || len(data) < 8 {
		return b, false
	}
	b.until = int64(binary.LittleEndian.Uint64(data))
	b.user, b.handle, data, ok = abi.NextPair(data[8:])
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

// list sees to it that a session which is bound to a user is in the list of the
// user's sessions before it is stored under a key that the list does not have,
// and that the list lasts as long as the session. It returns the changes with
// what is to be remembered of that.
func (s *Session) list(t *attempt, o *overlay, now int64) (*overlay, error) {
	var b binding
	if s.bind != nil {
		b = *s.bind
	} else if found, ok := bindingOf(o, s.record.Values); ok {
		b = found
	} else {
		return o, nil
	}
	if s.bind == nil && !t.fresh && t.next.Expires <= b.until {
		return o, nil
	}
	b.until = t.next.Expires + s.manager.duration
	keys := []storageKey{*t.key}
	if t.fresh && s.exists {
		// Until the old record is gone, ending the session must end both.
		keys = append(keys, s.key)
	}
	err := s.manager.changeIndex(&s.saving, b.user, b.until, func(e map[string]indexEntry) bool {
		e[b.handle] = indexEntry{added: now, keys: keys}
		return true
	})
	if err != nil {
		return nil, err
	}
	with := o.copy()
	with.set(userKey, b.encode())
	return &with, nil
}

// unlist takes a session that was ended out of the list it is in. That it stays
// there does no harm: lists drop what is no more.
func (s *Session) unlist() {
	if !s.exists {
		return
	}
	if b, ok := bindingOf(&overlay{}, s.record.Values); ok {
		_ = s.manager.changeIndex(&s.saving, b.user, 0, func(e map[string]indexEntry) bool {
			_, ok := e[b.handle]
			delete(e, b.handle)
			return ok
		})
	}
}

// userIndex is the list of a user's sessions. It is a record like any other,
// under a key made of the user's name, and works with an engine that cannot
// enumerate.
type userIndex struct {
	record  Record
	expect  int64
	entries map[string]indexEntry // by handle
}

// indexEntry is a session in the list: the keys that it is, or is about to be,
// stored under.
type indexEntry struct {
	added int64
	keys  []storageKey
}

func userIndexKey(user string) storageKey {
	return sha256.Sum256([]byte("waddle user index 1\x00" + user))
}

func (e indexEntry) encode() []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(e.added))
	for _, key := range e.keys {
		b = append(b, key[:]...)
	}
	return b
}

func decodeIndexEntry(b []byte) (e indexEntry, ok bool) {
	if len(b) < 8 || (len(b)-8)%sha256.Size != 0 {
		return e, false
	}
	e.added = int64(binary.LittleEndian.Uint64(b))
	for b = b[8:]; len(b) > 0; b = b[sha256.Size:] {
		e.keys = append(e.keys, storageKey(b[:sha256.Size]))
	}
	return e, true
}

func (m *Manager) loadIndex(ctx context.Context, user string, now int64) (userIndex, error) {
	key := userIndexKey(user)
	u := userIndex{entries: make(map[string]indexEntry)}
	r, err := m.engine.Load(ctx, key[:], now)
	switch {
	case errors.Is(err, store.ErrNotFound):
		u.record, u.expect = Record{Created: now}, store.Absent
		return u, nil
	case isCorrupt(err):
		m.event(ctx, Event{Kind: EventCorrupt, Session: key.label(), Err: err})
		u.record, u.expect = Record{Created: now}, store.Any
		return u, nil
	case err != nil:
		return u, err
	}
	u.record, u.expect = r, int64(r.Revision)
	for handle, data := range r.Values.All() {
		if entry, ok := decodeIndexEntry(data); ok {
			u.entries[handle] = entry
		}
	}
	return u, nil
}

// changeIndex changes the list of a user's sessions as one step, so that it
// lasts until the given time at least. fn reports whether it changed anything;
// it is called again if the list was changed meanwhile.
func (m *Manager) changeIndex(ctx context.Context, user string, until int64, fn func(map[string]indexEntry) bool) error {
	key := userIndexKey(user)
	for attempt := range maxAttempts {
		pause(attempt)
		now := m.now()
		u, err := m.loadIndex(ctx, user, now)
		if err != nil {
			return err
		}
		if !fn(u.entries) {
			return nil
		}
		r := u.record
		r.Revision++
		r.Codec = m.settings.Codec.ID()
		r.Saved = now
		r.Expires = max(r.Expires, until)
		if len(u.entries) == 0 {
			r.Expires = 1
		}
		var o overlay
		for _, handle := range slices.Sorted(maps.Keys(u.entries)) {
			o.changes = append(o.changes, change{key: handle, value: u.entries[handle].encode()})
		}
		r.setValues(&o, Values{})
		if len(r.room) > m.settings.MaxSize {
			return fmt.Errorf("%w: the list of a user's %d sessions", ErrTooLarge, len(u.entries))
		}
		err = m.engine.Store(ctx, key[:], &r, u.expect, now)
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("%w: %d tries to change the list of a user's sessions", ErrConflict, maxAttempts)
}

func cmpOr(first, second int) int {
	if first != 0 {
		return first
	}
	return second
}
