package session

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

// sealedStore puts a seal on every value, so that the store learns nothing of
// it and cannot change it, nor pass off the value of one key or revision as
// that of another. What it cannot know is whether a store gives an older value
// back, together with the revision that it had.
//
// The sealed form, behind the revision, which the store needs to see:
//
//	 8  form    u8   sealedVersion
//	 9  key     4 bytes, the name of the key that sealed it
//	13  nonce   24 bytes
//	37  sealed  the rest of the value, and a tag of 16 bytes
//
// The additional data are sealContext, the revision, and the storage key.
type sealedStore struct {
	store.Store
	keyring *Keyring
	random  io.Reader
}

const (
	sealedVersion = 2 // never a formVersion, so that neither is taken for the other
	sealedHeader  = abi.RevisionSize + 1 + keyNameSize + xaesNonce
	sealOverhead  = sealedHeader - abi.RevisionSize + xaesTag
	sealContext   = "waddle record 1\x00"
)

func sealData(b []byte, key, value []byte) []byte {
	b = append(b, sealContext...)
	b = append(b, value[:abi.RevisionSize]...)
	return append(b, key...)
}

// Get opens in place: the store's copy is ours.
func (s *sealedStore) Get(ctx context.Context, key []byte, now int64) ([]byte, error) {
	b, err := s.Store.Get(ctx, key, now)
	if err != nil {
		return nil, err
	}
	if len(b) < sealedHeader+xaesTag || b[abi.RevisionSize] != sealedVersion {
		return nil, fmt.Errorf("%w: the record is not sealed", ErrDecode)
	}
	name := [keyNameSize]byte(b[abi.RevisionSize+1:])
	k := s.keyring.find(name)
	if k == nil {
		return nil, fmt.Errorf("%w: the record was sealed with a key, named %x, that the keyring does not have", ErrDecode, name)
	}
	var room [len(sealContext) + abi.RevisionSize + 64]byte
	nonce := b[sealedHeader-xaesNonce : sealedHeader]
	plain, err := k.aead.open(b[sealedHeader:sealedHeader], nonce, b[sealedHeader:], sealData(room[:0], key, b))
	if err != nil {
		return nil, err
	}
	start := sealedHeader - abi.RevisionSize
	copy(b[start:sealedHeader], b[:abi.RevisionSize])
	return b[start : sealedHeader+len(plain)], nil
}

func (s *sealedStore) Set(ctx context.Context, w store.Write) error {
	if len(w.Value) < abi.RevisionSize {
		return fmt.Errorf("%w: a value of %d bytes has no revision", store.ErrInvalid, len(w.Value))
	}
	k := &s.keyring.keys[0]
	b := make([]byte, sealedHeader, len(w.Value)+sealOverhead)
	binary.LittleEndian.PutUint64(b, abi.Revision(w.Value))
	b[abi.RevisionSize] = sealedVersion
	copy(b[abi.RevisionSize+1:], k.name[:])
	nonce := b[sealedHeader-xaesNonce:]
	if _, err := io.ReadFull(s.random, nonce); err != nil {
		return fmt.Errorf("session: no random bits for a seal: %w", err)
	}
	var room [len(sealContext) + abi.RevisionSize + 64]byte
	w.Value = k.aead.seal(b, nonce, w.Value[abi.RevisionSize:], sealData(room[:0], w.Key, b))
	return s.Store.Set(ctx, w)
}
