package session_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// csrfToken gets a token as a page would.
func (b *browser) csrfToken() (token string) {
	b.a.t.Helper()
	b.do(func(s *session.Session) {
		var err error
		token, err = s.CSRFToken()
		require.NoError(b.a.t, err)
	})
	return token
}

func (b *browser) check(token string) (err error) {
	b.do(func(s *session.Session) { err = s.CheckCSRF(token) })
	return err
}

func TestCSRFToken(t *testing.T) {
	overSeals(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
		a := newApp(t, s, renewing, seal)
		b := a.browser()
		b.do(func(s *session.Session) { s.SetModified() })
		a.store.take()
		first := b.csrfToken()
		second := b.csrfToken()
		for _, o := range a.store.take() {
			require.Equal(t, "get", o.name, "a token is nothing to store")
		}
		require.NotEqual(t, first, second, "none looks like another, so that compression does not give it away")
		require.NoError(t, b.check(first))
		require.NoError(t, b.check(second))
		require.Empty(t, b.values(), "it is not among the values")

		// Every byte of it changes soon.
		raw := func(token string) []byte {
			bits, err := base64.RawURLEncoding.DecodeString(token)
			require.NoError(t, err)
			return bits
		}
		for i := range raw(first) {
			require.Eventually(t, func() bool { return raw(first)[i] != raw(b.csrfToken())[i] }, 1e10, 1)
		}

		ids := map[string]bool{}
		for range 3 {
			a.clock.Advance(every)
			require.NoError(t, b.check(first), "timed renewal keeps it")
			ids[b.id()] = true
		}
		require.Len(t, ids, 3)
		b.set("n", 1)
		require.NoError(t, b.check(first), "and so do changes")

		other := a.browser()
		other.set("n", 1)
		for name, token := range map[string]string{
			"none": "", "another session's": other.csrfToken(), "cut off": first[:len(first)-1], "longer": first + "A",
			"junk": "!" + first[1:], "zeros": strings.Repeat("A", len(first)), "a bit": flip(first),
			"only the mask": base64.RawURLEncoding.EncodeToString(raw(first)[:32]),
		} {
			require.ErrorIs(t, b.check(token), session.ErrCSRF, name)
		}
		require.ErrorIs(t, a.browser().check(strings.Repeat("A", len(first))), session.ErrCSRF, "of nobody")

		for name, renew := range map[string]func(s *session.Session) error{
			"renew":  func(s *session.Session) error { return s.Renew() },
			"log in": func(s *session.Session) error { return s.LogIn("ada", nil) },
			"clear":  func(s *session.Session) error { return s.Clear() },
		} {
			before := b.csrfToken()
			var within string
			b.do(func(s *session.Session) {
				require.NoError(t, renew(s))
				require.ErrorIs(t, s.CheckCSRF(before), session.ErrCSRF, name)
				var err error
				within, err = s.CSRFToken()
				require.NoError(t, err)
			})
			require.ErrorIs(t, b.check(before), session.ErrCSRF, "a stale tab, after %s", name)
			require.NoError(t, b.check(within), "the page after %s", name)
		}
	})
}

func flip(token string) string {
	bits, _ := base64.RawURLEncoding.DecodeString(token)
	bits[40] ^= 1
	return base64.RawURLEncoding.EncodeToString(bits)
}

// TestCSRFTokensOfPagesAtOnce: two tabs of one session that open at the same
// time both get a valid token.
func TestCSRFTokensOfPagesAtOnce(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		b := a.browser()
		b.set("user", "ada")
		var first, second string
		b.do(func(s *session.Session) {
			var err error
			_, err = s.Has("user")
			require.NoError(t, err)
			second = b.csrfToken()
			first, err = s.CSRFToken()
			require.NoError(t, err)
		})
		require.NoError(t, b.check(first))
		require.NoError(t, b.check(second))
	})
}

// TestClearEndsTokens: Clear ends the tokens of a session whose id stays,
// whether or not a new token was requested meanwhile.
func TestClearEndsTokens(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		for _, ask := range []bool{false, true} {
			b := newApp(t, s).browser()
			b.set("user", "ada")
			id := b.id()
			for range 2 {
				before := b.csrfToken()
				b.do(func(s *session.Session) {
					require.NoError(t, s.Clear())
					require.ErrorIs(t, s.CheckCSRF(before), session.ErrCSRF)
					if ask {
						token, err := s.CSRFToken()
						require.NoError(t, err)
						require.NoError(t, s.CheckCSRF(token))
					}
				})
				require.Equal(t, id, b.id())
				require.ErrorIs(t, b.check(before), session.ErrCSRF)
				require.NoError(t, b.check(b.csrfToken()))
			}
		}
	})
}
