package session_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

const (
	secretOld = "b2xkIHNlY3JldCBmb3IgdGVzdHMgb25seSwgMQ=="
	secretNew = "bmV3IHNlY3JldCBmb3IgdGVzdHMgb25seSwgMg=="
)

// meddler is a store that shows what it is given and may change what it
// returns.
type meddler struct {
	store.Store
	seen  map[string][][]byte // every value ever set, by key
	alter func(key, value []byte) []byte
}

func newMeddler() *meddler {
	return &meddler{Store: store.NewMemory(), seen: make(map[string][][]byte)}
}

func (m *meddler) Set(ctx context.Context, w store.Write) error {
	m.seen[string(w.Key)] = append(m.seen[string(w.Key)], bytes.Clone(w.Value))
	return m.Store.Set(ctx, w)
}

func (m *meddler) Get(ctx context.Context, key []byte, now store.Millis) ([]byte, error) {
	value, err := m.Store.Get(ctx, key, now)
	if err == nil && m.alter != nil {
		value = m.alter(key, value)
	}
	return value, err
}

func keyring(t *testing.T, secrets ...string) *session.Keyring {
	t.Helper()
	k, err := session.NewKeyring(secrets...)
	require.NoError(t, err)
	return k
}

// sealedManager returns a manager and counts its corrupt events.
func sealedManager(t *testing.T, s store.Store, k *session.Keyring) (m *session.Manager, corrupt *int) {
	t.Helper()
	corrupt = new(int)
	settings := session.Defaults()
	settings.Keyring = k
	settings.OnEvent = func(_ context.Context, e session.Event) {
		if e.Kind == session.EventCorrupt {
			*corrupt++
		}
	}
	m, err := session.New(s, settings)
	require.NoError(t, err)
	return m, corrupt
}

func saveNew(t *testing.T, m *session.Manager, value string) (id string) {
	t.Helper()
	s := m.Session(context.Background(), "")
	require.NoError(t, s.Set("secret", value))
	require.NoError(t, s.Save())
	id, err := s.ID()
	require.NoError(t, err)
	return id
}

func read(t *testing.T, m *session.Manager, id string) (value string, ok bool) {
	t.Helper()
	ok, err := m.Session(context.Background(), id).Get("secret", &value)
	require.NoError(t, err)
	return value, ok
}

func TestSealedStoreLearnsNothing(t *testing.T) {
	s := newMeddler()
	m, _ := sealedManager(t, s, keyring(t, secretNew))
	id := saveNew(t, m, "attack at dawn")
	value, ok := read(t, m, id)
	require.True(t, ok)
	require.Equal(t, "attack at dawn", value)
	require.NotEmpty(t, s.seen)
	for key, values := range s.seen {
		for _, v := range values {
			for _, hidden := range []string{"attack", "secret", id} {
				require.NotContains(t, string(v), hidden)
				require.NotContains(t, key, hidden)
			}
		}
	}
	// The same value looks different when it is sealed twice.
	saveNew(t, m, "attack at dawn")
	var tails []string
	for _, values := range s.seen {
		tails = append(tails, string(values[0][8:]))
	}
	require.Len(t, tails, 2)
	require.NotEqual(t, tails[0], tails[1])
}

func TestSealedRecordsCannotBeAltered(t *testing.T) {
	for _, c := range []struct {
		name  string
		alter func(s *meddler, other []byte) func(key, value []byte) []byte
	}{
		{"that of another session", func(_ *meddler, other []byte) func(_, _ []byte) []byte {
			return func(_, _ []byte) []byte { return bytes.Clone(other) }
		}},
		{"an older value under the newest revision", func(s *meddler, _ []byte) func(_, _ []byte) []byte {
			return func(key, value []byte) []byte {
				old := bytes.Clone(s.seen[string(key)][0])
				copy(old, value[:8])
				return old
			}
		}},
		{"cut off", func(*meddler, []byte) func(_, _ []byte) []byte {
			return func(_, value []byte) []byte { return value[:len(value)-1] }
		}},
		{"cut off within the header", func(*meddler, []byte) func(_, _ []byte) []byte {
			return func(_, value []byte) []byte { return value[:20] }
		}},
		{"empty", func(*meddler, []byte) func(_, _ []byte) []byte {
			return func(_, _ []byte) []byte { return nil }
		}},
		{"unsealed", func(*meddler, []byte) func(_, _ []byte) []byte {
			return func(_, value []byte) []byte { value[8] = 1; return value }
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newMeddler()
			m, corrupt := sealedManager(t, s, keyring(t, secretNew))
			victim, attacker := saveNew(t, m, "victim's"), saveNew(t, m, "attacker's")
			mine := m.Session(context.Background(), victim)
			require.NoError(t, mine.Set("secret", "victim's, changed"))
			require.NoError(t, mine.Save())
			s.alter = c.alter(s, s.seen[storageKeyOf(attacker)][0])
			_, ok := read(t, m, victim)
			require.False(t, ok)
			require.Equal(t, 1, *corrupt)
		})
	}
	t.Run("any bit", func(t *testing.T) {
		s := newMeddler()
		m, corrupt := sealedManager(t, s, keyring(t, secretNew))
		id := saveNew(t, m, "x")
		size := len(s.seen[storageKeyOf(id)][0])
		for bit := range size * 8 {
			s.alter = func(_, value []byte) []byte {
				value[bit/8] ^= 1 << (bit % 8)
				return value
			}
			_, ok := read(t, m, id)
			require.False(t, ok, "bit %d", bit)
			require.Equal(t, bit+1, *corrupt)
		}
	})
}

func TestSecretsRotateWithoutLoggingOut(t *testing.T) {
	s := store.NewMemory()
	before, _ := sealedManager(t, s, keyring(t, secretOld))
	id := saveNew(t, before, "kept")

	during, corrupt := sealedManager(t, s, keyring(t, secretNew, secretOld))
	value, ok := read(t, during, id)
	require.True(t, ok)
	require.Equal(t, "kept", value)
	changed := during.Session(context.Background(), id)
	require.NoError(t, changed.Set("other", 1))
	require.NoError(t, changed.Save()) // sealed again, with the new key

	after, _ := sealedManager(t, s, keyring(t, secretNew))
	value, ok = read(t, after, id)
	require.True(t, ok)
	require.Equal(t, "kept", value)
	require.Zero(t, *corrupt)

	unknown, corrupt := sealedManager(t, s, keyring(t, secretOld))
	_, ok = read(t, unknown, id)
	require.False(t, ok, "a record under a key that is not there is a fresh session")
	require.Equal(t, 1, *corrupt)
}

func TestWeakSecretsAreRefusedByName(t *testing.T) {
	for _, c := range []struct {
		name    string
		secrets []string
		says    string
	}{
		{"none", nil, "at least one"},
		{"empty", []string{""}, "secret 1 of 1 has 0 bytes"},
		{"short", []string{secretNew, "tooshort"}, "secret 2 of 2 has 8 bytes"},
		{"repetitive", []string{"abababababababababababababababababababab"}, "2 different bytes"},
		{"placeholder", []string{"please-CHANGEME-before-you-go-live-0123456789"}, `"changeme"`},
		{"twice", []string{secretNew, secretOld, secretNew}, "secret 3 of 3 is there twice"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := session.NewKeyring(c.secrets...)
			require.ErrorIs(t, err, session.ErrSecret)
			require.ErrorContains(t, err, c.says)
			for _, secret := range c.secrets {
				if secret != "" {
					require.NotContains(t, err.Error(), secret, "a secret does not belong into an error")
				}
			}
		})
	}
}

func ExampleNewKeyring() {
	// The first secret seals new records. All of them open old ones.
	k, err := session.NewKeyring(
		"bmV3IHNlY3JldCBmb3IgdGVzdHMgb25seSwgMg==",
		"b2xkIHNlY3JldCBmb3IgdGVzdHMgb25seSwgMQ==",
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	settings := session.Defaults()
	settings.Keyring = k
	_, err = session.New(store.NewMemory(), settings)
	fmt.Println(err)
	// Output: <nil>
}
