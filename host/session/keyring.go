package session

import (
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
)

// ErrSecret is returned when a secret is too weak to seal sessions with.
var ErrSecret = errors.New("session: weak secret")

// Keyring holds the keys that sealed sessions are made and read with: the first
// seals, all open. To change the secret without logging anybody out, put the new
// one in front in the keyrings of all processes. Remove the old one after twice
// Settings.Lifetime, or after Lifetime and the longest time that
// [Session.SetExpiry] gives: lists of users' sessions last that long.
//
// A Keyring never changes and may be used by many goroutines. [FromEnv] makes one
// from WADDLE_SECRET or WADDLE_SECRET_FILE.
type Keyring struct{ keys []sealingKey }

type sealingKey struct {
	name   [keyNameSize]byte // tells which key sealed a record
	master [sha256.Size]byte
	labels [sha256.Size]byte // makes the labels of users
	lots   *lots
}

const keyNameSize = 4

// Weaker secrets are refused: 32 characters drawn at random from 16 or more have
// 128 bits.
const (
	minSecret   = 32
	minDistinct = 8
)

// NewKeyring makes a keyring of one or more secrets, newest first. A secret is 32
// or more bytes that nobody can guess; `openssl rand -base64 32` makes one. Keys
// are derived with HKDF-SHA256 (RFC 5869), so the same secret may serve other
// purposes elsewhere.
//
// It returns ErrSecret for a secret that is too short, has too few different
// bytes, is a placeholder, or is given twice. The error gives its position and
// the reason, never the secret.
func NewKeyring(secrets ...string) (*Keyring, error) {
	if len(secrets) == 0 {
		return nil, fmt.Errorf("%w: a keyring has no secret: must have at least one", ErrSecret)
	}
	k := &Keyring{}
	for i, secret := range secrets {
		if reason := weakness(secret); reason != "" {
			return nil, fmt.Errorf("%w: secret %d of %d %s; make one with `openssl rand -base64 32`", ErrSecret, i+1, len(secrets), reason)
		}
		key, err := deriveSealingKey(secret)
		if err != nil {
			return nil, err
		}
		if k.find(key.name) != nil {
			return nil, fmt.Errorf("%w: secret %d of %d is there twice: must be there once", ErrSecret, i+1, len(secrets))
		}
		k.keys = append(k.keys, key)
	}
	return k, nil
}

func weakness(secret string) string {
	if len(secret) < minSecret {
		return fmt.Sprintf("has %d bytes: must have at least %d", len(secret), minSecret)
	}
	distinct := make(map[byte]bool)
	for i := range len(secret) {
		distinct[secret[i]] = true
	}
	if len(distinct) < minDistinct {
		return fmt.Sprintf("has %d different bytes: must have at least %d", len(distinct), minDistinct)
	}
	lower := strings.ToLower(secret)
	for _, word := range []string{"changeme", "change-me", "change_me", "change this", "placeholder", "insecure", "your-secret", "your_secret", "example"} {
		if strings.Contains(lower, word) {
			return fmt.Sprintf("contains %q, as a placeholder does: must be random", word)
		}
	}
	return ""
}

func deriveSealingKey(secret string) (sealingKey, error) {
	// One expansion gives the key, its name and the key of the labels: none reveals the
	// others.
	const size = sha256.Size + keyNameSize + sha256.Size
	okm, err := hkdf.Key(sha256.New, []byte(secret), nil, "waddle session record seal v1", size)
	if err != nil {
		return sealingKey{}, fmt.Errorf("session: deriving a key: %w", err)
	}
	return sealingKey{
		name:   [keyNameSize]byte(okm[sha256.Size:]),
		master: [sha256.Size]byte(okm),
		labels: [sha256.Size]byte(okm[sha256.Size+keyNameSize:]),
		lots:   new(lots),
	}, nil
}

// String gives the number of keys, and nothing about them.
func (k *Keyring) String() string { return fmt.Sprintf("keyring of %d secrets", len(k.keys)) }

// GoString is String, for %#v.
func (k *Keyring) GoString() string { return k.String() }

func (k *Keyring) find(name [keyNameSize]byte) *sealingKey {
	for i := range k.keys {
		if k.keys[i].name == name {
			return &k.keys[i]
		}
	}
	return nil
}
