package session

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
)

// UserLabels returns what events call a user: with it, someone who knows a name
// finds its log-ins and log-outs in a log. A keyring of several secrets gives
// several. The first is what events have now, and the others what they had when
// their secret was the newest.
//
// With a Keyring nobody can tell the name from a label, or try names, without the
// secret. Without one, a label is a plain hash, and anyone who reads the log can
// try guessed names.
func (m *Manager) UserLabels(user string) []string {
	k := m.settings.Keyring
	if k == nil {
		return []string{userLabel(nil, user)}
	}
	labels := make([]string, len(k.keys))
	for i := range k.keys {
		labels[i] = userLabel(&k.keys[i], user)
	}
	return labels
}

// labelSize is 48 bits: enough to tell a million users apart, and short in a log.
const labelSize = 6

func userLabel(k *sealingKey, user string) string {
	h := sha256.New()
	if k != nil {
		h = hmac.New(sha256.New, k.labels[:])
	}
	_, _ = io.WriteString(h, "waddle user label 1\x00")
	_, _ = io.WriteString(h, user)
	return hex.EncodeToString(h.Sum(nil)[:labelSize])
}

// boundLabel returns the label of the user to whom a session of these values is
// bound, or empty for nobody.
func (m *Manager) boundLabel(v Values) string {
	if !v.own {
		return ""
	}
	b, ok := bindingOf(&overlay{}, v)
	if !ok {
		return ""
	}
	var k *sealingKey
	if m.settings.Keyring != nil {
		k = &m.settings.Keyring.keys[0]
	}
	return userLabel(k, b.user)
}
