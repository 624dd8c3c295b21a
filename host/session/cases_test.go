package session_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// TestCasesNamesTestsThatExist checks CASES.md against the tests.
func TestCasesNamesTestsThatExist(t *testing.T) {
	tests := make(map[string]bool)
	files, err := filepath.Glob("*_test.go")
	require.NoError(t, err)
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, d := range f.Decls {
			if d, ok := d.(*ast.FuncDecl); ok && d.Recv == nil {
				tests[d.Name.Name] = true
			}
		}
	}
	text, err := os.ReadFile("CASES.md")
	require.NoError(t, err)
	named := regexp.MustCompile("`((?:Test|Fuzz|Example)[A-Za-z_]*)`")
	rows := 0
	for line := range strings.Lines(string(text)) {
		for _, m := range named.FindAllStringSubmatch(line, -1) {
			require.True(t, tests[m[1]], "there is no %s: %s", m[1], line)
		}
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) < 4 || strings.HasPrefix(line, "|---") || strings.HasPrefix(line, "| case |") {
			continue
		}
		rows++
		require.Len(t, cells, 4, line)
		require.True(t, named.MatchString(cells[2]) || strings.HasPrefix(strings.TrimSpace(cells[2]), "Left out: "), "neither covered nor left out: %s", line)
	}
	require.Greater(t, rows, 100)
}

// TestReservedNames: nobody can see, reach or overwrite the library's own
// values in a session by name.
func TestReservedNames(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		b := newApp(t, s).browser()
		b.do(func(s *session.Session) {
			require.NoError(t, s.LogIn("ada", nil))
			require.NoError(t, s.Set("cookie", "mine"))
			require.NoError(t, s.Set("save", "mine"))
			_, err := s.CSRFToken()
			require.NoError(t, err)
		})
		b.addFlash(notices, "x")
		b.do(func(s *session.Session) {
			keys, err := s.Keys()
			require.NoError(t, err)
			require.ElementsMatch(t, []string{"cookie", "save"}, keys)
			n, err := s.Len()
			require.NoError(t, err)
			require.Equal(t, 2, n)
			for _, name := range []string{"waddle.user", "waddle.csrf", "waddle.", "waddle.else"} {
				require.ErrorIs(t, s.Set(name, []byte("forged")), session.ErrKey)
				require.Panics(t, func() { session.NewKey[int](name) })
				var v any
				for _, ask := range []func() (bool, error){
					func() (bool, error) { return s.Get(name, &v) },
					func() (bool, error) { return s.Has(name) },
					func() (bool, error) { return s.Pop(name, &v) },
				} {
					ok, err := ask()
					require.NoError(t, err)
					require.False(t, ok)
				}
				require.NoError(t, s.Delete(name))
			}
			require.False(t, s.Modified())
			user, err := s.User()
			require.NoError(t, err)
			require.Equal(t, "ada", user)
		})
		require.Equal(t, []string{"x"}, b.takeFlash(notices))
	})
}

// TestAllOfNothing: a session without values is a session.
func TestAllOfNothing(t *testing.T) {
	overSeals(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
		b := newApp(t, s, seal).browser()
		b.do(func(s *session.Session) { s.SetModified() })
		require.NotEmpty(t, b.id())
		b.do(func(s *session.Session) {
			exists, err := s.Exists()
			require.NoError(t, err)
			require.True(t, exists)
			n, err := s.Len()
			require.NoError(t, err)
			require.Zero(t, n)
			require.False(t, s.Modified())
		})
	})
}

func TestChangesInARow(t *testing.T) {
	for _, c := range []struct {
		name  string
		do    func(s *session.Session) error
		value map[string]any
	}{
		{"add and change", func(s *session.Session) error { _ = s.Set("new", "1"); return s.Set("new", "2") }, map[string]any{"old": "0", "new": "2"}},
		{"add and remove", func(s *session.Session) error { _ = s.Set("new", "1"); return s.Delete("new") }, map[string]any{"old": "0"}},
		{"change and remove", func(s *session.Session) error { _ = s.Set("old", "1"); return s.Delete("old") }, map[string]any{}},
		{"remove and add", func(s *session.Session) error { _ = s.Delete("old"); return s.Set("old", "2") }, map[string]any{"old": "2"}},
		{"change and pop", func(s *session.Session) error {
			_ = s.Set("old", "1")
			_, err := s.Pop("old", new(string))
			return err
		}, map[string]any{}},
		{"remove twice", func(s *session.Session) error { _ = s.Delete("old"); return s.Delete("old") }, map[string]any{}},
		{"clear and remove", func(s *session.Session) error { _ = s.Clear(); return s.Delete("old") }, map[string]any{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			overStores(t, func(t *testing.T, s store.Store) {
				b := newApp(t, s).browser()
				b.set("old", "0")
				b.do(func(s *session.Session) { require.NoError(t, c.do(s)) })
				require.Equal(t, c.value, b.values())
			})
		})
	}
}

// TestRenewTwice: renewing twice in one request gives one new id, and saving
// again gives none.
func TestRenewTwice(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		b := a.browser()
		b.set("user", "ada")
		first := b.id()
		a.kinds()
		b.do(func(s *session.Session) {
			require.NoError(t, s.Renew())
			require.NoError(t, s.Renew())
			require.NoError(t, s.Save())
			id, err := s.ID()
			require.NoError(t, err)
			require.NoError(t, s.Save())
			again, err := s.ID()
			require.NoError(t, err)
			require.Equal(t, id, again)
		})
		require.NotEqual(t, first, b.id())
		require.Equal(t, []session.EventKind{session.EventRenewed}, a.kinds())
		require.Equal(t, 2, records(t, a), "the session, and what is left of the first id")
	})
}
