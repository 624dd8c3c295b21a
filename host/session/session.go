package session

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/waddle-sessions/waddle/host/store"
)

// Session is the request's view of a visitor's session: encoded values by name.
// It is loaded on first use and saved, if it was changed, just before the
// response begins.
//
// Its methods may be called by several goroutines of the request. Save, Destroy
// and [Key.Update] put the cookie into the response's headers, if one is needed,
// so they must not run while another goroutine uses those.
//
// All use the request's context. A method that looks into the session may have to
// load it. If that fails, it returns the storage's error, and tries anew the next
// time. [Key.Value], [Key.Put], [Value] and [Session.Check] keep the error
// instead, and the response answers for it; see [Session.Err].
type Session struct {
	manager *Manager
	ctx     context.Context
	call    operation       // of the storage, one at a time
	tries   tries           // of what the request is doing at the moment
	w       *responseWriter // nil for a session without a response

	mu     sync.Mutex
	ids    []string // well-formed ones that the client sent
	idRoom [1]string
	id     string     // of the loaded or stored session
	key    storageKey // of id
	record Record     // as stored, if exists

	ended   error   // another request ended the session, a moment ago: ErrGone or ErrRenewed
	endedID string  // of that session, or of one that ended a while ago
	seldom  *seldom // nil for nothing

	overlay      overlay
	bind         *binding
	life         *lifeChange  // nil for none
	refreshAgain store.Millis // when the changes of a look may be tried again
	visitorSays  string       // the value of the visitor's cookie; empty for none
	began        store.Millis // when the request began; 0: not before its first look
	answer       answer
	failure      error // the first one met by a method that returns none

	flashes      uint16
	visitor      visitor
	transport    Transport
	haveIDs      bool
	brought      bool // the client sent something that was meant for us
	issued       bool // this request made the id
	loaded       bool
	dead         bool // all that the client's ids name is certainly over
	unsure       bool // an id may not be dead, or its cookie may have been replaced
	exists       bool // a record is stored under key
	touched      bool // the request looked at the session or changed it
	stale        bool // another request has changed the record
	used         bool // the request did more than ask how long the session lives
	force        bool // save even if no value changed
	renew        bool
	resend       bool // the client has an old id and must be told the new one
	destroyed    bool // by this request: the cookie goes unless a new session comes
	tokenSent    bool // the session's id is among the headers, in that for tokens
	failureTaken bool // the handler was told of the failure, and answers for it
}

// Get decodes the value under key into v, a pointer, and reports whether there
// was one. A value that does not decode into v's type counts as absent and is
// reported as EventCorrupt, so that changing a type between two releases does not
// lock visitors out. What v points to is then unspecified; [Key] is safer.
func (s *Session) Get(key string, v any) (ok bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.get(key, v)
}

func (s *Session) get(key string, v any) (ok bool, err error) {
	value, ok, err := s.stored(key)
	return ok && s.decode(key, value, v), err
}

// stored looks up a value that is not the library's own. The lock is held.
func (s *Session) stored(key string) (value stored, ok bool, err error) {
	if reserved(key) {
		return stored{}, false, nil
	}
	data, ok, err := s.lookup(key)
	if !ok || err != nil {
		return stored{}, false, err
	}
	return stored{data, s.codecOf(&s.overlay, key)}, true, nil
}

// plain reports whether a value may be one for decodePlain.
func (s *Session) plain(value *stored) bool {
	return s.manager.plain && value.codec == s.manager.settings.Codec.ID()
}

// shares reports whether strings may share a value's memory.
func (s *Session) shares(value *stored) bool {
	most := len(s.record.Values.block())
	return most <= sharesUpTo || len(value.data) >= most/2
}

// stored is an encoded value with the id of the codec that wrote it.
type stored struct {
	data  []byte
	codec uint8
}

// decode is called with the lock held.
func (s *Session) decode(key string, value stored, v any) bool {
	codec := s.manager.codec(value.codec)
	if codec == nil {
		s.event(EventCorrupt, fmt.Errorf("%w: value %q has codec %d: must have Codec or one of ReadCodecs", ErrDecode, key, value.codec))
		return false
	}
	if err := codec.Unmarshal(value.data, v); err != nil {
		// Without the codec's own words, which quote the value.
		s.event(EventCorrupt, fmt.Errorf("%w: value %q does not fit into %T", ErrDecode, key, v))
		return false
	}
	return true
}

// Has reports whether there is a value under key.
func (s *Session) Has(key string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok, err := s.lookup(key)
	return ok && !reserved(key), err
}

// Keys returns the names of all values, in no particular order.
func (s *Session) Keys() ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.load(s.ctx); err != nil {
		return nil, err
	}
	keys := make([]string, 0, int(s.record.Values.n)+len(s.overlay.changes))
	for key := range s.overlay.all(s.record.Values) {
		if !reserved(key) {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// Len returns how many values there are.
func (s *Session) Len() (int, error) {
	keys, err := s.Keys()
	return len(keys), err
}

// Set puts a value under key. It encodes the value at once: a later change to
// what v refers to does not reach the session. If it returns ErrKey or ErrEncode,
// it changes nothing.
//
// The codecs of this package store no value incompletely. A value of which
// something would not come back is ErrEncode, which names the type and the way to
// it. Such are structs without exported fields and without methods that write
// them, types with methods that write and none that read, channels, functions,
// interfaces with methods, and fields that hide one another. Unexported fields
// beside exported ones are left out, and so are those whose tag says so.
func (s *Session) Set(key string, v any) error {
	if err := checkName(key); err != nil {
		return err
	}
	value, err := s.encode(key, v)
	if err != nil {
		return err
	}
	s.put(key, value)
	return nil
}

// put is Set for an encoded value of a name that may be set.
func (s *Session) put(key string, value []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.touched = true
	s.overlay.set(key, value)
}

func (s *Session) encode(key string, v any) ([]byte, error) {
	value, err := s.manager.settings.Codec.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("%w: value %q of type %T: %w", ErrEncode, key, v, err)
	}
	return value, nil
}

// Delete removes the value under key. If there is none, it changes nothing, and
// that is not an error.
func (s *Session) Delete(key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if reserved(key) {
		return nil
	}
	// Also for a value that was just set: another may be beneath it.
	if err := s.loadUnseen(s.ctx); err != nil {
		return err
	}
	s.overlay.delete(key, s.record.Values)
	return nil
}

// Pop takes a value out of the session: it decodes the value into v, like Get,
// and removes it. If several requests pop the same value, exactly one gets it.
// For that, Pop saves the session, with all its changes, if there is something to
// take; its errors are those of Save.
func (s *Session) Pop(key string, v any) (ok bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if reserved(key) {
		return false, nil
	}
	if err := s.load(s.ctx); err != nil {
		return false, err
	}
	value, ok, err := s.lookup(key)
	if !ok || err != nil {
		return false, err
	}
	if !s.exists {
		// Nobody else can have it.
		taken := stored{value, s.codecOf(&s.overlay, key)}
		s.overlay.delete(key, s.record.Values)
		return s.decode(key, taken, v), nil
	}
	var taken stored
	err = s.commit(func(o *overlay, base Values) error {
		if taken.data, ok = o.lookup(base, key); !ok {
			return errNothing
		}
		taken.codec = s.codecOf(o, key)
		o.delete(key, base)
		return nil
	})
	if !ok || err != nil {
		return false, err
	}
	return s.decode(key, taken, v), nil
}

// Clear removes all values, including those that other requests add until this
// one is saved, and unbinds the session from its user. The session itself stays,
// with its id; to end it, use Destroy.
func (s *Session) Clear() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.loadUnseen(s.ctx); err != nil {
		return err
	}
	if !s.exists {
		s.bind = nil
		s.overlay.reset()
		return nil
	}
	// Earlier tokens must no longer hold, though the id stays.
	secret, err := s.manager.newCSRFSecret()
	if err != nil {
		return err
	}
	s.bind = nil
	s.overlay.clear()
	s.overlay.set(csrfKey, secret)
	return nil
}

// Exists reports whether the session is stored. A new one is not stored until it
// is saved, whatever was changed in it.
func (s *Session) Exists() (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.load(s.ctx)
	return s.exists, err
}

// ID returns the id of a stored session. Anyone who has it can use it: keep it
// out of logs. It is empty as long as the session is not stored.
func (s *Session) ID() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.load(s.ctx); err != nil || !s.exists {
		return "", err
	}
	return s.id, nil
}

// Modified reports whether there are unsaved changes.
func (s *Session) Modified() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.modified()
}

func (s *Session) modified() bool {
	return !s.overlay.empty() || s.force || s.renew || s.bind != nil || s.life.pending()
}

// SetModified makes the next save store the session even if no value was changed;
// its expiry begins anew. A session that is not stored yet is created, even if it
// is empty.
func (s *Session) SetModified() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.touched = true
	s.force = true
}

// lookup finds a value among the changes of this request or, after loading it, in
// the stored session.
func (s *Session) lookup(key string) (value []byte, ok bool, err error) {
	s.touched = true
	if c := s.overlay.find(key); c != nil {
		return c.value, !c.deleted, nil
	}
	if err := s.load(s.ctx); err != nil {
		return nil, false, err
	}
	value, ok = s.overlay.lookup(s.record.Values, key)
	return value, ok, nil
}

// clientIDs returns the ids that the client sent. The first call reads them from
// the request.
func (s *Session) clientIDs() []string {
	if !s.haveIDs {
		s.haveIDs = true
		if s.w != nil {
			var rejected int
			s.ids, s.transport, rejected = s.manager.idsOf(s.idRoom[:0], s.w.request.Header)
			s.brought = len(s.ids) > 0 || rejected > 0
			if rejected > 0 {
				s.manager.event(s.ctx, Event{Kind: EventRejected})
			}
		}
	}
	return s.ids
}

// fetch gets the record under the session's key if it counts: one that is
// corrupt, has ended, or is not in its user's list is as good as none. On an error
// what is in record does not count.
func (s *Session) fetch(ctx context.Context, now store.Millis, record *Record) error {
	if _, saves := ctx.(*savingContext); !saves {
		ctx = s.loading()
	}
	s.tries.begin()
	defer s.tries.end()
	for {
		if err := s.fetchRecord(ctx, now, record); err != nil {
			return err
		}
		listed, err := s.vouched(ctx, record, now)
		if err != nil {
			s.unsure = true // the list is another record, and may be readable another time
			return err
		}
		if listed {
			return nil
		}
		if err := s.manager.again(&s.tries, "read the session"); err != nil {
			s.unsure = true
			return err
		}
	}
}

func (s *Session) fetchRecord(ctx context.Context, now store.Millis, record *Record) error {
	err := s.manager.records.load(ctx, s.key[:], now, record)
	if err == nil && record.State == RecordSession && s.manager.codec(record.Codec) == nil {
		err = fmt.Errorf("%w: the record has codec %d, but this program uses codec %d; to read both, put the other one into Settings.ReadCodecs",
			ErrDecode, record.Codec, s.manager.settings.Codec.ID())
	}
	if err == nil && int64(record.Revision) <= 0 {
		err = fmt.Errorf("%w: the record has revision %d: must have at least 1", ErrDecode, record.Revision)
	}
	switch {
	case err == nil && record.State == RecordEnded && now >= record.Expires:
		return store.ErrNotFound
	case err == nil && record.isWord():
		s.unsure = true // the client may have another cookie by now
		return store.ErrNotFound
	case err == nil && !s.accepts(record.Transport):
		s.unsure = true
		s.manager.event(s.ctx, Event{Kind: EventRejected, Session: s.key.label()})
		return store.ErrNotFound
	case err == nil && (record.State == RecordEnded || !s.manager.ended(record, now)):
		if s.manager.anonymousLifetime != 0 && record.Values.own {
			_, record.bound = record.Values.lookup(userKey)
		}
		return nil
	case err == nil:
		s.manager.event(s.ctx, Event{Kind: EventExpired, Session: s.key.label(), User: s.manager.boundLabel(record.Values)})
		return store.ErrNotFound
	case isCorrupt(err):
		s.unsure = true // another host, or another secret, may be able to read it
		s.manager.event(s.ctx, Event{Kind: EventCorrupt, Session: s.key.label(), Err: err})
		return store.ErrNotFound
	}
	return err
}

// attach gives a new session its manager, context and response.
func (s *Session) attach(m *Manager, ctx context.Context, w *responseWriter) {
	s.manager, s.ctx, s.w = m, ctx, w
}

// storageFailed reports that the storage failed. A client that has gone, or a
// change that was wrong by itself, is not its fault.
func (s *Session) storageFailed(err error) {
	for _, other := range [...]error{ErrGone, ErrChanged, ErrHeadersSent, ErrCrossSite, ErrTooLarge, ErrSettings, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, other) {
			return
		}
	}
	s.event(EventUnavailable, err)
}

func (s *Session) event(kind EventKind, err error) {
	e := Event{Kind: kind, Err: err}
	switch {
	case s.id != "":
		e.Session = s.key.label()
	case s.endedID != "":
		e.Session = s.manager.keyOf(s.endedID).label()
	}
	s.manager.event(s.ctx, e)
}
