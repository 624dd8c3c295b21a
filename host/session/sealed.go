package session

import (
	"context"
	"fmt"
	"io"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

// sealedStore seals every value, so that the store learns nothing of it, cannot
// change it, and cannot pass off the value of one key or revision as that of
// another. It cannot detect a store that returns an older value together with its
// revision.
//
// The sealed form, after the revision, which the store needs to see:
//
//	 8  form    u8   sealedVersion
//	 9  key     4 bytes, the name of the key that sealed it
//	13  lot     16 bytes, the salt of the lot
//	29  nonce   12 bytes
//	41  sealed  the rest of the value, and a tag of 16 bytes
//
// The additional data are sealContext, the bytes before the nonce, and the
// storage key.
type sealedStore struct {
	store.Store
	reads   store.Bounded // reads the store with a bound
	keyring *Keyring
	random  io.Reader

	clock         func() time.Time
	unsealedUntil store.Millis // unsealed records are read until then, by the clock: not every call's now is the clock's
	openOnly      bool         // seal nothing any more, or nothing yet

	mu      sync.Mutex
	current atomic.Pointer[lot] // the one that seals
}

const (
	sealedVersion = 2 // never a formVersion, so that neither is taken for the other
	saltStart     = abi.RevisionSize + 1 + keyNameSize
	nonceStart    = saltStart + saltSize
	sealedHeader  = nonceStart + nonceSize
	sealOverhead  = sealedHeader - abi.RevisionSize + tagSize
	sealContext   = "waddle record 2\x00"
)

// newSealedStore seals what is written to a store, as the settings say.
func newSealedStore(s store.Store, settings *Settings) *sealedStore {
	sealed := &sealedStore{Store: s, reads: store.AtMost(s), keyring: settings.Keyring, random: settings.Rand, clock: settings.Now, openOnly: settings.WriteUnsealed}
	switch {
	case settings.WriteUnsealed:
		sealed.unsealedUntil = math.MaxInt64
	case !settings.ReadUnsealedUntil.IsZero():
		sealed.unsealedUntil = store.At(settings.ReadUnsealedUntil)
	}
	return sealed
}

// sealRoom is memory that sealing needs during a call.
type sealRoom struct {
	data  []byte
	value []byte
}

var sealRooms = sync.Pool{New: func() any { return new(sealRoom) }}

// maxSealRoom keeps a few large sessions from holding on to memory.
const maxSealRoom = 64 << 10

func (r *sealRoom) free() {
	if cap(r.value) > maxSealRoom {
		r.value = nil
	}
	sealRooms.Put(r)
}

// sealData returns the additional data of a value under a key.
func (r *sealRoom) sealData(key, value []byte) []byte {
	r.data = append(r.data[:0], sealContext...)
	r.data = append(r.data, value[:nonceStart]...)
	r.data = append(r.data, key...)
	return r.data
}

// Unwrap lets the store itself do what needs no key: keys and expiries are as
// they are, and a snapshot has the sealed values, which are what should be
// carried over.
func (s *sealedStore) Unwrap() store.Store { return s.Store }

func (s *sealedStore) Get(ctx context.Context, key []byte, now store.Millis) ([]byte, error) {
	return s.GetInto(ctx, key, now, nil, maxRecord)
}

// GetInto opens in place: the copy that the store returns is ours.
func (s *sealedStore) GetInto(ctx context.Context, key []byte, now store.Millis, into []byte, most int) ([]byte, error) {
	b, err := s.reads.GetInto(ctx, key, now, into, most+sealOverhead)
	if err != nil {
		return nil, err
	}
	if !isSealed(b) {
		if s.unsealedUntil != 0 && store.At(s.clock()) < s.unsealedUntil {
			// Without a seal the bound is most.
			if err := store.CheckSize(len(b), most); err != nil {
				return nil, err
			}
			return b, nil
		}
		return nil, fmt.Errorf("%w: the record is not sealed: must be sealed where a keyring is set; Settings.ReadUnsealedUntil, or SESSION_READ_UNSEALED_UNTIL, accepts others for a time", ErrDecode)
	}
	return s.keyring.open(key, b)
}

// isSealed reports whether a stored value has the sealed form.
func isSealed(b []byte) bool {
	return len(b) > abi.RevisionSize && b[abi.RevisionSize] == sealedVersion
}

// open opens in place a value that has the sealed form.
func (keyring *Keyring) open(key, b []byte) ([]byte, error) {
	if len(b) < sealedHeader+tagSize {
		return nil, fmt.Errorf("%w: the sealed record has %d bytes: must have at least %d", ErrDecode, len(b), sealedHeader+tagSize)
	}
	name := [keyNameSize]byte(b[abi.RevisionSize+1:])
	k := keyring.find(name)
	if k == nil {
		return nil, fmt.Errorf("%w: the record was sealed with a key, named %x, that the keyring does not have", ErrDecode, name)
	}
	salt := [saltSize]byte(b[saltStart:])
	l := k.lots.find(salt)
	known := l != nil
	if !known {
		l = deriveLot(k.master[:], salt)
	}
	room := sealRooms.Get().(*sealRoom)
	defer room.free()
	plain, err := l.aead.Open(b[sealedHeader:sealedHeader], b[nonceStart:sealedHeader], b[sealedHeader:], room.sealData(key, b))
	if err != nil {
		return nil, fmt.Errorf("%w: the seal is broken: the record was changed, or belongs to another session or revision", ErrDecode)
	}
	if !known {
		k.lots.add(l)
	}
	start := sealedHeader - abi.RevisionSize
	copy(b[start:sealedHeader], b[:abi.RevisionSize])
	return b[start : sealedHeader+len(plain)], nil
}

func (s *sealedStore) Set(ctx context.Context, w store.Write) error {
	if s.openOnly {
		return s.Store.Set(ctx, w)
	}
	if len(w.Value) < abi.RevisionSize {
		return fmt.Errorf("%w: a value of %d bytes has no revision", store.ErrInvalid, len(w.Value))
	}
	room := sealRooms.Get().(*sealRoom)
	defer room.free() // the store keeps nothing of what it is given
	sealed, err := s.seal(room, w.Key, w.Value)
	if err != nil {
		return err
	}
	w.Value = sealed
	return s.Store.Set(ctx, w)
}

// seal returns the sealed form of a value, in the memory of the room.
func (s *sealedStore) seal(room *sealRoom, key, value []byte) ([]byte, error) {
	if size := len(value) + sealOverhead; cap(room.value) < size {
		room.value = make([]byte, size)
	}
	b := room.value[:sealedHeader]
	copy(b, value[:abi.RevisionSize])
	b[abi.RevisionSize] = sealedVersion
	l, err := s.nextNonce(b[nonceStart:])
	if err != nil {
		return nil, err
	}
	copy(b[abi.RevisionSize+1:], s.keyring.keys[0].name[:])
	copy(b[saltStart:], l.salt[:])
	return l.aead.Seal(b, b[nonceStart:], value[abi.RevisionSize:], room.sealData(key, b)), nil
}

// nextNonce writes a nonce that was never used with the lot it returns.
func (s *sealedStore) nextNonce(nonce []byte) (*lot, error) {
	for {
		l := s.current.Load()
		if l != nil {
			if ok, err := l.nonce(nonce, s.random); ok || err != nil {
				return l, err
			}
		}
		if err := s.newLot(l); err != nil {
			return nil, err
		}
	}
}

// newLot replaces a lot that is used up, unless another goroutine did.
func (s *sealedStore) newLot(old *lot) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current.Load() != old {
		return nil
	}
	var salt [saltSize]byte
	if _, err := io.ReadFull(s.random, salt[:]); err != nil {
		return fmt.Errorf("%w: no random bits for a seal: %w", store.ErrInternal, err)
	}
	k := &s.keyring.keys[0]
	l := deriveLot(k.master[:], salt)
	k.lots.add(l)
	s.current.Store(l)
	return nil
}
