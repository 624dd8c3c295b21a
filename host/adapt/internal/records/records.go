// Package records keeps the sessions of other libraries in a [store.Store]: bytes
// under a token, until they expire or are ended. The store learns a hash of the
// token. A token that was ended stays so: a request that was still running cannot
// bring its record back.
package records

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// ErrEnded is returned when a record is written under a token that was ended. The
// record was not stored.
var ErrEnded = errors.New("the session was ended by another request")

const (
	// MaxToken is the longest token, in bytes.
	MaxToken = 1024

	// DefaultSize is the default of Settings.MaxSize.
	DefaultSize = 1 << 20

	// DefaultTimeout is the default of Settings.Timeout.
	DefaultTimeout = 10 * time.Second

	// endedFor is how long a token is known to be ended. It outlasts a request that was
	// under way.
	endedFor = store.Millis(time.Hour / time.Millisecond)

	// maxTries bounds how often a write meets other writes.
	maxTries = 256
)

// Settings say how records are kept. Kind is required; the zero value of every other
// field is its default.
type Settings struct {
	// Kind and Namespace keep the records of libraries and of applications apart that
	// share a store.
	Kind, Namespace string

	// Keyring seals records; nil leaves them readable to the store. Until
	// ReadUnsealedUntil those that are not sealed are read as well.
	Keyring           *session.Keyring
	ReadUnsealedUntil time.Time

	// KeepTokens keeps the token in its record, for All. It needs a Keyring.
	KeepTokens bool

	// MaxSize bounds the data of a record, in bytes.
	MaxSize int

	// Timeout bounds one call of the store; session.Off is no bound.
	Timeout time.Duration

	// OnCorrupt is told of a record that cannot be read; nil logs it.
	OnCorrupt func(ctx context.Context, err error)

	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Records are the sessions of one library in a store. They may be used by many
// goroutines.
type Records struct {
	store    store.Store
	settings Settings
	domain   string
}

// New returns the records in a store. It returns [session.ErrSettings] for settings
// that cannot work.
func New(s store.Store, settings Settings) (*Records, error) {
	if settings.MaxSize == 0 {
		settings.MaxSize = DefaultSize
	}
	if settings.Timeout == 0 {
		settings.Timeout = DefaultTimeout
	}
	if settings.Now == nil {
		settings.Now = time.Now
	}
	if settings.OnCorrupt == nil {
		settings.OnCorrupt = func(ctx context.Context, err error) {
			slog.WarnContext(ctx, "a session's record cannot be read and counts as absent", "library", settings.Kind, "error", err)
		}
	}
	switch {
	case s == nil:
		return nil, fmt.Errorf("%w: the store is nil: must be one", session.ErrSettings)
	case len(settings.Namespace) > session.MaxNamespace || strings.ContainsRune(settings.Namespace, 0):
		return nil, fmt.Errorf("%w: Namespace has %d bytes: must have at most %d and no NUL", session.ErrSettings, len(settings.Namespace), session.MaxNamespace)
	case settings.MaxSize < 0 || settings.MaxSize > maxData:
		return nil, fmt.Errorf("%w: MaxSize is %d: must be 0 for the default, or from 1 to %d bytes", session.ErrSettings, settings.MaxSize, maxData)
	case settings.Timeout < 0 && settings.Timeout != session.Off:
		return nil, fmt.Errorf("%w: Timeout is %v: must be 0 for the default, above 0, or session.Off", session.ErrSettings, settings.Timeout)
	case settings.KeepTokens && settings.Keyring == nil:
		return nil, fmt.Errorf("%w: tokens are to be kept without a Keyring: must be sealed", session.ErrSettings)
	case !settings.ReadUnsealedUntil.IsZero() && settings.Keyring == nil:
		return nil, fmt.Errorf("%w: ReadUnsealedUntil is set without a Keyring: must be unset, since no record is sealed then, and all are read", session.ErrSettings)
	}
	if settings.Keyring != nil {
		s = settings.Keyring.Seal(s, settings.ReadUnsealedUntil)
	}
	return &Records{store: s, settings: settings, domain: "waddle adapted session 1\x00" + settings.Kind + "\x00" + settings.Namespace + "\x00"}, nil
}

// SetMaxSize is for libraries that change the bound later. It must not be called
// while the records are used.
func (r *Records) SetMaxSize(size int) { r.settings.MaxSize = size }

// Now returns the time by the clock of the records.
func (r *Records) Now() time.Time { return r.settings.Now() }

// Record is a session as it was read.
type Record struct {
	Token    string // only from All
	Data     []byte
	Revision int64 // changes with every write
}

// Load returns the record of a token. It returns [store.ErrNotFound] if there is
// none, if it has expired or was ended, or if it cannot be read.
func (r *Records) Load(ctx context.Context, token string) (Record, error) {
	if len(token) > MaxToken {
		return Record{}, store.ErrNotFound
	}
	ctx, cancel := r.bound(ctx)
	defer cancel()
	key := r.key(token)
	f, err := r.load(ctx, key[:], r.now())
	switch {
	case isCorrupt(err):
		r.settings.OnCorrupt(ctx, err)
		return Record{}, store.ErrNotFound
	case err != nil:
		return Record{}, err
	case f.ended:
		return Record{}, store.ErrNotFound
	}
	return Record{Data: f.data, Revision: f.revision}, nil
}

// Put stores the record of a token, whatever is there. It returns ErrEnded if the
// token was ended, [session.ErrTooLarge] for data above MaxSize, and errors of the
// store. A time that has passed removes the record.
func (r *Records) Put(ctx context.Context, token string, data []byte, expires time.Time) error {
	if err := r.check(token, data); err != nil {
		return err
	}
	ctx, cancel := r.bound(ctx)
	defer cancel()
	key := r.key(token)
	for range maxTries {
		expect, now := int64(store.Absent), r.now()
		switch f, err := r.load(ctx, key[:], now); {
		case err == nil && f.ended:
			return ErrEnded
		case err == nil:
			expect = f.revision
		case isCorrupt(err):
			expect = store.Any
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
		_, err := r.set(ctx, key[:], token, data, expires, now, expect)
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("%w: %d tries to store a session met other changes of it", session.ErrConflict, maxTries)
}

// Replace stores a record in place of the one with a revision, or with
// [store.Absent] where there is none, and returns its own revision. It returns
// [store.ErrConflict] if something else is there; otherwise it is like Put.
func (r *Records) Replace(ctx context.Context, token string, data []byte, expires time.Time, revision int64) (int64, error) {
	if err := r.check(token, data); err != nil {
		return 0, err
	}
	ctx, cancel := r.bound(ctx)
	defer cancel()
	key := r.key(token)
	return r.set(ctx, key[:], token, data, expires, r.now(), revision)
}

// End ends the session of a token: nothing can be stored under it for an hour. It
// is not an error if there is none.
func (r *Records) End(ctx context.Context, token string) error {
	return r.EndRevision(ctx, token, store.Any)
}

// EndRevision is End for the record with a revision. It returns
// [store.ErrConflict] if another one is there.
func (r *Records) EndRevision(ctx context.Context, token string, revision int64) error {
	if len(token) > MaxToken {
		return nil
	}
	ctx, cancel := r.bound(ctx)
	defer cancel()
	key, now := r.key(token), r.now()
	w := store.Write{
		Key: key[:], Value: frame{revision: firstRevision(), ended: true}.encode(),
		Expires: now + endedFor, Now: now, Expect: revision,
	}
	err := r.store.Set(ctx, w)
	if !errors.Is(err, store.ErrNoSpace) {
		return err
	}
	// A log-out must not fail because a disk is full, and there is no room for the
	// record of another request either.
	if revision == store.Any {
		return r.store.Delete(ctx, key[:], now)
	}
	w.Expires = 1 // which removes the record, on the same condition
	if again := r.store.Set(ctx, w); again == nil || errors.Is(again, store.ErrConflict) {
		return again
	}
	return err
}

// All lists the records of all tokens that are alive, in no order. It needs
// KeepTokens, and a store that can enumerate, and otherwise yields
// [store.ErrUnsupported]. A record that begins or ends meanwhile may be missing,
// one that cannot be read is left out. An error ends the sequence.
func (r *Records) All(ctx context.Context) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		if !r.settings.KeepTokens {
			yield(Record{}, fmt.Errorf("%w: the store knows no tokens: set a Keyring, and they are kept, sealed", store.ErrUnsupported))
			return
		}
		now := r.now()
		for key, err := range store.Keys(ctx, r.store, now) {
			if err != nil {
				yield(Record{}, err)
				return
			}
			if len(key) != sha256.Size {
				continue
			}
			f, err := r.loadBounded(ctx, key, now)
			switch {
			case errors.Is(err, store.ErrNotFound), isCorrupt(err):
				continue // it may be another program's
			case err != nil:
				yield(Record{}, err)
				return
			case f.ended || !f.named || r.key(f.token) != [sha256.Size]byte(key):
				continue
			}
			if !yield(Record{Token: f.token, Data: f.data, Revision: f.revision}, nil) {
				return
			}
		}
	}
}

func (r *Records) loadBounded(ctx context.Context, key []byte, now store.Millis) (frame, error) {
	ctx, cancel := r.bound(ctx)
	defer cancel()
	return r.load(ctx, key, now)
}

func (r *Records) check(token string, data []byte) error {
	if len(token) > MaxToken {
		return fmt.Errorf("%w: the token has %d bytes: must have at most %d", store.ErrInvalid, len(token), MaxToken)
	}
	if len(data) > r.settings.MaxSize {
		return fmt.Errorf("%w: %d bytes: must be at most %d, Settings.MaxSize", session.ErrTooLarge, len(data), r.settings.MaxSize)
	}
	return nil
}

func (r *Records) set(ctx context.Context, key []byte, token string, data []byte, expires time.Time, now store.Millis, expect int64) (int64, error) {
	f := frame{revision: firstRevision(), data: data}
	if expect > 0 && expect < lastRevision {
		f.revision = expect + 1
	}
	if r.settings.KeepTokens {
		f.named, f.token = true, token
	}
	return f.revision, r.store.Set(ctx, store.Write{
		Key: key, Value: f.encode(),
		Expires: max(1, store.At(expires)), // 0 would be never
		Now:     now, Expect: expect,
	})
}

func (r *Records) load(ctx context.Context, key []byte, now store.Millis) (frame, error) {
	value, err := store.AtMost(r.store).GetInto(ctx, key, now, nil, frameHeader+MaxToken+max(r.settings.MaxSize, DefaultSize))
	if err != nil {
		return frame{}, err
	}
	return parse(value)
}

func (r *Records) now() store.Millis { return store.At(r.settings.Now()) }

func (r *Records) key(token string) [sha256.Size]byte { return sha256.Sum256([]byte(r.domain + token)) }

func (r *Records) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if r.settings.Timeout == session.Off {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, r.settings.Timeout)
}

// A record's revisions begin anywhere. If they began at 1 after it was dropped,
// somebody who read the last record could take the next one for it.
const lastRevision = 1 << 62

func firstRevision() int64 { return 1 + rand.Int64N(lastRevision/2) }

func isCorrupt(err error) bool {
	return errors.Is(err, session.ErrDecode) || errors.Is(err, store.ErrCorrupt) || errors.Is(err, store.ErrOversized)
}
