package session

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
)

// UserLabels returns what events call a user: with it, whoever knows a name
// finds the log-ins and log-outs in a log. Of several, for a keyring of several
// secrets, the first is what events have now, and the others what they had
// when their secret was the newest.
//
// With a Keyring nobody can tell the name from a label, or try names, without
// the secret. Without one, a label is a plain hash, and whoever reads the log can
// try names that they guess.
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

// labelSize is of 48 bits: enough to tell a million users apart, and a log's
// line short.
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

// boundLabel is the label of the user that a session of these values is bound
// to, empty for nobody.
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
