package session

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/waddle-sessions/waddle/host/store"
)

// A lot is an AES-256-GCM key for a bounded number of records, derived from a key
// of the keyring and a salt that is drawn anew for each lot. Every process seals
// with its own lots, so no two ever count nonces of one key. The salt is in each
// record, so every process opens them all.
//
// A nonce is the number of the record in its lot, which makes it unique, and 64
// random bits, which keep it unique if a running machine is copied and both
// copies go on counting. Deriving a key for each record instead, as XAES-256-GCM
// does, would be as safe and cost more than the sealing.
type lot struct {
	salt [saltSize]byte
	aead cipher.AEAD
	used atomic.Uint32
}

const (
	saltSize  = 16
	nonceSize = 12
	tagSize   = 16

	// lotSize keeps the number within its 32 bits, and the amount sealed under one key
	// far below what AES-GCM bears.
	lotSize = 1 << 28

	// maxLots bounds the lots kept for opening. Deriving another takes a microsecond or
	// two.
	maxLots = 256
)

func deriveLot(master []byte, salt [saltSize]byte) *lot {
	key, err := hkdf.Expand(sha256.New, master, "waddle session record lot v1"+string(salt[:]), 32)
	if err != nil {
		panic(err) // the length is right
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return &lot{salt: salt, aead: aead}
}

// nonce writes the next nonce of the lot. It returns false if there is none.
func (l *lot) nonce(nonce []byte, random io.Reader) (ok bool, err error) {
	n := l.used.Add(1)
	if n > lotSize {
		l.used.Store(lotSize) // so that it never starts over
		return false, nil
	}
	binary.LittleEndian.PutUint32(nonce, n)
	if _, err := io.ReadFull(random, nonce[4:nonceSize]); err != nil {
		return false, fmt.Errorf("%w: no random bits for a seal: %w", store.ErrInternal, err)
	}
	return true, nil
}

// lots are the known lots of one key of a keyring. Only a record that was opened
// adds one: a storage cannot fill them with salts of its own.
type lots struct {
	mu    sync.Mutex
	known atomic.Pointer[map[[saltSize]byte]*lot] // replaced, never changed
}

func (l *lots) find(salt [saltSize]byte) *lot {
	if known := l.known.Load(); known != nil {
		return (*known)[salt]
	}
	return nil
}

func (l *lots) add(one *lot) {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := make(map[[saltSize]byte]*lot)
	if known := l.known.Load(); known != nil && len(*known) < maxLots {
		for salt, other := range *known {
			next[salt] = other
		}
	}
	next[one.salt] = one
	l.known.Store(&next)
}
