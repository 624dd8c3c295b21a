package session_test

import (
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// TestSecretsFromEnv: a secret in the environment seals, or there is an error.
// Nobody runs unsealed while believing otherwise.
func TestSecretsFromEnv(t *testing.T) {
	dir := t.TempDir()
	file := func(text string) string {
		path := filepath.Join(dir, fmt.Sprint(len(text), ".txt"))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	const name, fileName = "WADDLE_SECRET=", "WADDLE_SECRET_FILE="
	type is = []error
	for _, c := range []struct {
		name    string
		environ []string
		opens   []string // secrets that open its records
		seals   string
		is      []error
		not     error
		says    []string
	}{
		{name: "nothing"},
		{name: "other names", environ: []string{"SECRET=x", "SECRET_KEY=" + secretNew, "WADDLE_ADDR=:80", "WADDLE_HOME=/"}},
		{name: "one", environ: []string{"HOME=/", name + secretNew}, opens: []string{secretNew}, seals: secretNew},
		{name: "two, newest first", environ: []string{name + secretNew + " \t\n" + secretOld}, opens: []string{secretNew, secretOld}, seals: secretNew},
		{name: "the last of two entries", environ: []string{name + secretOld, name + secretNew}, opens: []string{secretNew}, seals: secretNew},
		{name: "file", environ: []string{fileName + file(secretNew+"\n")}, opens: []string{secretNew}, seals: secretNew},
		{name: "file with spaces around its name", environ: []string{fileName + " " + file(secretNew+"\n") + "\n"}, opens: []string{secretNew}, seals: secretNew},
		{name: "file, and the other set to nothing", environ: []string{name, fileName + file(secretNew+"\n")}, opens: []string{secretNew}, seals: secretNew},
		{name: "one, and the other set to nothing", environ: []string{name + secretNew, fileName}, opens: []string{secretNew}, seals: secretNew},
		{name: "one beside another framework's", environ: []string{name + secretNew, "SESSION_SECRET=x"}, opens: []string{secretNew}, seals: secretNew},
		{name: "file with comments, blanks and other line ends", opens: []string{secretNew, secretOld}, seals: secretNew,
			environ: []string{fileName + file("# newest first\r\n\r\n  "+secretNew+"\r\n#"+secretOld+"\n"+secretOld)}},
		{name: "both", environ: []string{name + secretNew, fileName + file(secretNew)}, not: session.ErrSecret, says: []string{"WADDLE_SECRET and WADDLE_SECRET_FILE"}},
		{name: "weak", environ: []string{name + "hunter2"}, is: is{session.ErrSecret}, says: []string{"WADDLE_SECRET:", "secret 1 of 1 has 7 bytes"}},
		{name: "set to nothing", environ: []string{name}, is: is{session.ErrSecret}, says: []string{"WADDLE_SECRET is set to nothing", "must be a secret, or unset"}},
		{name: "file set to nothing", environ: []string{fileName}, is: is{session.ErrSecret}, says: []string{"WADDLE_SECRET_FILE is set to nothing"}},
		{name: "blank", environ: []string{name + "  "}, is: is{session.ErrSecret}, says: []string{"WADDLE_SECRET is set to nothing"}},
		{name: "second is weak", environ: []string{name + secretNew + " short"}, is: is{session.ErrSecret}, says: []string{"secret 2 of 2 has 5 bytes"}},
		{name: "weak in a file", environ: []string{fileName + file("hunter2hunter2")}, is: is{session.ErrSecret}, not: session.ErrSecretFile, says: []string{"WADDLE_SECRET_FILE:", "14 bytes"}},
		{name: "a file of comments", environ: []string{fileName + file("# nothing\n")}, is: is{session.ErrSecret}, says: []string{"WADDLE_SECRET_FILE:", "at least one"}},
		{name: "an empty file", environ: []string{fileName + file("")}, is: is{session.ErrSecret}, says: []string{"WADDLE_SECRET_FILE:", "at least one"}},
		{name: "no file", environ: []string{fileName + filepath.Join(dir, "none")}, is: is{session.ErrSecretFile, fs.ErrNotExist}, not: session.ErrSecret, says: []string{"WADDLE_SECRET_FILE"}},
		{name: "a directory", environ: []string{fileName + dir}, is: is{session.ErrSecretFile}, not: session.ErrSecret, says: []string{"WADDLE_SECRET_FILE"}},
		{name: "a file without end", environ: []string{fileName + file(strings.Repeat(secretNew+"\n", 1<<12))}, is: is{session.ErrSecretFile}, not: session.ErrSecret, says: []string{"at most 65536 bytes"}},

		{name: "misspelt", environ: []string{"WADDLE_SECERT=" + secretNew}, not: session.ErrSecret, says: []string{"WADDLE_SECERT", "WADDLE_SECRET meant"}},
		{name: "plural", environ: []string{"WADDLE_SECRETS=" + secretNew}, says: []string{"WADDLE_SECRET meant"}},
		{name: "small letters", environ: []string{"waddle_secret=" + secretNew}, says: []string{"WADDLE_SECRET meant"}},
		{name: "file, misspelt", environ: []string{"WADDLE_SECRET_FIEL=x"}, says: []string{"WADDLE_SECRET_FILE meant"}},
		{name: "longer", environ: []string{"WADDLE_SECRET_KEY=" + secretNew}, says: []string{"WADDLE_SECRET"}},
		{name: "with the prefix of the others", environ: []string{"SESSION_SECRET=" + secretNew}, says: []string{"SESSION_SECRET", "WADDLE_SECRET meant"}},
		{name: "by the name of its field", environ: []string{"SESSION_KEYRING=" + secretNew}, says: []string{"SESSION_KEYRING", "WADDLE_SECRET meant"}},
		{name: "a key, file", environ: []string{"WADDLE_KEYRING_FILE=x"}, says: []string{"WADDLE_SECRET_FILE meant"}},
		{name: "with the prefix of the others, file", environ: []string{"SESSION_SECRET_FILE=x"}, says: []string{"WADDLE_SECRET_FILE meant"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			settings, err := session.FromEnv(c.environ)
			if c.says != nil {
				for _, is := range append(c.is, session.ErrSettings) {
					require.ErrorIs(t, err, is)
				}
				if c.not != nil {
					require.NotErrorIs(t, err, c.not)
				}
				for _, says := range c.says {
					require.ErrorContains(t, err, says)
				}
				for _, secret := range []string{secretNew, secretOld, "hunter2"} {
					require.NotContains(t, err.Error(), secret)
				}
				return
			}
			require.NoError(t, err)
			if c.seals == "" {
				require.Nil(t, settings.Keyring, "sessions that nobody wanted sealed are not")
				return
			}
			for _, secret := range []string{secretNew, secretOld} {
				s := store.NewMemory()
				theirs, _ := sealedManager(t, s, keyring(t, secret))
				mine, err := session.New(s, settings)
				require.NoError(t, err)
				_, ok := read(t, mine, saveNew(t, theirs, "x"))
				require.Equal(t, slices.Contains(c.opens, secret), ok)
				_, ok = read(t, theirs, saveNew(t, mine, "x"))
				require.Equal(t, c.seals == secret, ok)
			}
		})
	}
}

// TestKeyringShowsNothing, however it is printed, since settings end up in
// logs.
func TestKeyringShowsNothing(t *testing.T) {
	k := keyring(t, secretNew)
	var out strings.Builder
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "keyring", k)
	for _, shown := range []string{fmt.Sprint(k), fmt.Sprintf("%+v", k), fmt.Sprintf("%#v", k), out.String()} {
		require.Contains(t, shown, "keyring of 1 secrets")
		require.Less(t, len(shown), 120)
	}
}
