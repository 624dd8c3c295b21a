package session_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// traitor is a storage that keeps every version of everything it was given,
// reads all of it, and answers as it likes.
type traitor struct {
	store.Store
	mu     sync.Mutex
	keys   []string
	kept   map[string][][]byte
	answer func(key string) []byte // nil: the truth
}

func newTraitor(s store.Store) *traitor { return &traitor{Store: s, kept: make(map[string][][]byte)} }

func (x *traitor) Set(ctx context.Context, w store.Write) error {
	x.mu.Lock()
	if _, known := x.kept[string(w.Key)]; !known {
		x.keys = append(x.keys, string(w.Key))
	}
	x.kept[string(w.Key)] = append(x.kept[string(w.Key)], bytes.Clone(w.Value))
	x.mu.Unlock()
	return x.Store.Set(ctx, w)
}

func (x *traitor) Get(ctx context.Context, key []byte, now store.Millis) ([]byte, error) {
	x.mu.Lock()
	answer := x.answer
	x.mu.Unlock()
	if answer != nil {
		if value := answer(string(key)); value != nil {
			return bytes.Clone(value), nil
		}
	}
	return x.Store.Get(ctx, key, now)
}

func (x *traitor) tell(f func(key string) []byte) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.answer = f
}

// TestTraitor: whatever a storage returns in place of a session, of a list of
// sessions, or of the link from an old id to the new one, nobody gets another's
// data. Nothing that it reads tells it an id, a value, a user, a public id or a
// note.
func TestTraitor(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		x := newTraitor(s)
		a := newApp(t, x, renewing, func(s *session.Settings) { s.Keyring = keyring(t, secretNew) })
		secrets := map[string]bool{}
		owners := map[string]string{} // whom an id belongs to
		for _, user := range []string{"alice@example", "mallory@example"} {
			b := a.browser()
			b.set("secret", "the secret of "+user)
			owners[b.id()] = user
			b.do(func(s *session.Session) {
				require.NoError(t, s.LogIn(user, map[string]string{"browser": "Firefox 99"}))
			})
			owners[b.id()] = user
			b.addFlash(notices, "a message for "+user)
			secrets[b.csrfToken()] = true
			a.clock.Advance(every)
			b.do(look)
			owners[b.id()] = user
			b.set("secret", "the secret of "+user)
			secrets[user], secrets["the secret of "+user], secrets["a message for "+user] = true, true, true
			for _, h := range publicIDs(t, a.manager, user) {
				secrets[h] = true
			}
		}
		secrets["Firefox 99"], secrets["waddle"] = true, true
		for id := range owners {
			secrets[id] = true
			bits, err := base64.RawURLEncoding.DecodeString(id)
			require.NoError(t, err)
			secrets[string(bits)] = true
		}
		var all bytes.Buffer
		for key, versions := range x.kept {
			all.WriteString(key)
			for _, v := range versions {
				all.Write(v)
			}
		}
		for secret := range secrets {
			require.False(t, bytes.Contains(all.Bytes(), []byte(secret)), "the storage reads %q", secret)
		}

		// check reads everything. Lies must not lead to another's data.
		check := func(what string) {
			for id, owner := range owners {
				s := a.manager.Session(ctx, id)
				user, err := s.User()
				require.NoError(t, err)
				var value string
				ok, err := s.Get("secret", &value)
				require.NoError(t, err)
				if user != "" {
					require.Equal(t, owner, user, what)
				}
				if ok {
					require.Equal(t, "the secret of "+owner, value, what)
				}
			}
			for _, user := range []string{"alice@example", "mallory@example"} {
				list, err := a.manager.UserSessions(ctx, user)
				require.NoError(t, err)
				require.LessOrEqual(t, len(list), 1, what)
			}
		}
		check("the truth")
		keys := slices.Sorted(maps.Keys(x.kept))
		for _, from := range keys {
			for v, version := range x.kept[from] {
				for _, to := range keys {
					if from == to {
						continue
					}
					a.kinds()
					x.tell(func(key string) []byte {
						if key == to {
							return version
						}
						return nil
					})
					check(fmt.Sprintf("version %d of %x in place of %x", v, from[:4], to[:4]))
					x.tell(nil)
				}
			}
		}
		// In their own place, older versions are at most the owner's own.
		random := rand.New(rand.NewPCG(1, 2))
		for range 200 {
			x.tell(func(key string) []byte {
				if versions := x.kept[key]; len(versions) > 0 && random.IntN(2) == 0 {
					return versions[random.IntN(len(versions))]
				}
				return nil
			})
			check("old versions")
		}
		// Random damage.
		for range 300 {
			x.tell(func(key string) []byte {
				versions := x.kept[key]
				if len(versions) == 0 {
					return nil
				}
				v := bytes.Clone(versions[len(versions)-1])
				switch random.IntN(3) {
				case 0:
					v[random.IntN(len(v))] ^= byte(1 + random.IntN(255))
				case 1:
					v = v[:random.IntN(len(v))]
				case 2:
					copy(v, x.kept[x.keys[random.IntN(len(x.keys))]][0][:8])
				}
				return v
			})
			check("damage")
		}
	})
}

// TestRollBackIsNoticedWhereItCanBe: a commit that still knows the newer
// revision sees the older record as a conflict and applies its change to it. A
// destroyed session comes back at most as it was, until its expiry.
func TestRollBackIsNoticedWhereItCanBe(t *testing.T) {
	x := newTraitor(store.NewMemory())
	a := newApp(t, x, func(s *session.Settings) { s.Keyring = keyring(t, secretNew) })
	id := a.login("ada")
	key := storageKeyOf(id)
	s := a.manager.Session(ctx, id)
	require.NoError(t, s.Set("n", 1))
	require.NoError(t, s.Save())
	old := x.kept[key][0]
	require.NoError(t, x.Store.Set(ctx, store.Write{Key: []byte(key), Value: old, Now: clockStart}))
	a.kinds()
	require.NoError(t, s.Set("m", 2))
	require.NoError(t, s.Save())
	require.Equal(t, []session.EventKind{session.EventConflict}, a.kinds())

	require.NoError(t, a.manager.Session(ctx, id).Destroy())
	require.Empty(t, a.peek(id))
	require.NoError(t, x.Store.Set(ctx, store.Write{Key: []byte(key), Value: old, Now: clockStart}))
	require.Equal(t, "ada", a.peek(id), "this is what the documentation says cannot be noticed")
	a.clock.Advance(7 * day)
	require.NoError(t, x.Store.Set(ctx, store.Write{Key: []byte(key), Value: old, Now: store.At(a.clock.Now())}))
	require.Empty(t, a.peek(id), "the expiry is sealed within")
	require.Equal(t, []session.EventKind{session.EventDestroyed, session.EventExpired}, a.kinds())
}
