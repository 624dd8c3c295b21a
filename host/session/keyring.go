package session

import (
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
)

// ErrSecret is a secret that is too weak to seal sessions with.
var ErrSecret = errors.New("session: weak secret")

// Keyring has the keys that sealed sessions are made and read with: the first
// seals, all open. To change the secret without logging anybody out, put the
// new one in front of all processes' keyrings, and remove the old one when twice
// Settings.Duration has passed, or the longest time that [Session.SetExpiry]
// gives and Duration: lists of users' sessions last as long.
//
// A Keyring never changes and may be used by many goroutines. [FromEnv] makes
// one of WADDLE_SECRET or WADDLE_SECRET_FILE.
type Keyring struct{ keys []sealingKey }

type sealingKey struct {
	name   [keyNameSize]byte // tells which key sealed a record
	master [sha256.Size]byte
	labels [sha256.Size]byte // makes the labels of users
	lots   *lots
}

const keyNameSize = 4

// Secrets are refused below this: so many characters drawn at random from 16
// or more have 128 bits.
const (
	minSecret   = 32
	minDistinct = 8
)

// NewKeyring makes a keyring of one or more secrets, newest first. A secret is
// 32 or more bytes that nobody can guess; `openssl rand -base64 32` makes one.
// Keys are derived with HKDF-SHA256 (RFC 5869), so that the same secret may
// serve other purposes elsewhere.
//
// It returns ErrSecret, which says which one and why but never what, for a
// secret that is short, has too few different bytes, is a placeholder, or is
// given twice.
func NewKeyring(secrets ...string) (*Keyring, error) {
	if len(secrets) == 0 {
		return nil, fmt.Errorf("%w: a keyring needs at least one", ErrSecret)
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
			return nil, fmt.Errorf("%w: secret %d of %d is there twice", ErrSecret, i+1, len(secrets))
		}
		k.keys = append(k.keys, key)
	}
	return k, nil
}

func weakness(secret string) string {
	if len(secret) < minSecret {
		return fmt.Sprintf("has %d bytes, and the least is %d", len(secret), minSecret)
	}
	distinct := make(map[byte]bool)
	for i := range len(secret) {
		distinct[secret[i]] = true
	}
	if len(distinct) < minDistinct {
		return fmt.Sprintf("has %d different bytes, and the least is %d", len(distinct), minDistinct)
	}
	lower := strings.ToLower(secret)
	for _, word := range []string{"changeme", "change-me", "change_me", "change this", "placeholder", "insecure", "your-secret", "your_secret", "example"} {
		if strings.Contains(lower, word) {
			return fmt.Sprintf("contains %q and so looks like a placeholder", word)
		}
	}
	return ""
}

func deriveSealingKey(secret string) (sealingKey, error) {
	// One expansion for the key, its name and another key: none tells of the others.
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

// String tells how many keys there are, and nothing of them.
func (k *Keyring) String() string { return fmt.Sprintf("keyring of %d secrets", len(k.keys)) }

// GoString is String, for what %#v would show.
func (k *Keyring) GoString() string { return k.String() }

func (k *Keyring) find(name [keyNameSize]byte) *sealingKey {
	for i := range k.keys {
		if k.keys[i].name == name {
			return &k.keys[i]
		}
	}
	return nil
}
