package hosting

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ErrToken is returned for a token of the admin interface that cannot be used.
var ErrToken = errors.New("the token of the admin interface")

const (
	// minToken is the least length of a token, which is that of a secret.
	minToken     = 32
	maxTokenFile = 4 << 10

	// TokenFile is the file, in the directory of manifests, of the token that is made if
	// none is given.
	TokenFile = ".admin-token"
)

// ParseToken checks a token.
func ParseToken(text string) (Token, error) {
	text = strings.TrimSpace(text)
	switch {
	case len(text) < minToken:
		return Token{}, fmt.Errorf("%w has %d bytes: must have at least %d that nobody can guess, such as the output of: openssl rand -hex 32", ErrToken, len(text), minToken)
	case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }):
		return Token{}, fmt.Errorf("%w has a character that no header can carry: must have printable ASCII without spaces", ErrToken)
	}
	return Token{sha256.Sum256([]byte(text)), true}, nil
}

// Token opens the admin interface. Only its hash is kept, so that it is in no dump of
// memory, and comparing takes the same time for each guess.
type Token struct {
	sum [sha256.Size]byte
	set bool
}

// is compares in constant time.
func (t Token) is(guess string) bool {
	sum := sha256.Sum256([]byte(guess))
	return subtle.ConstantTimeCompare(sum[:], t.sum[:]) == 1 && t.set
}

// ReadToken reads a token from a file that nobody but its owner may read.
func ReadToken(path string) (Token, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return Token{}, fmt.Errorf("%w cannot be read: %w", ErrToken, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Token{}, fmt.Errorf("%w cannot be read: %w", ErrToken, err)
	}
	if !info.Mode().IsRegular() {
		return Token{}, fmt.Errorf("%w: %s is no ordinary file", ErrToken, path)
	}
	if othersMayRead(info.Mode()) {
		return Token{}, fmt.Errorf("%w: others than the owner may read %s (%v): run chmod 600 on it, and make a new token if they may have read it", ErrToken, path, info.Mode().Perm())
	}
	text, err := io.ReadAll(io.LimitReader(f, maxTokenFile))
	if err != nil {
		return Token{}, fmt.Errorf("%w cannot be read: %w", ErrToken, err)
	}
	return ParseToken(string(text))
}

// KeptToken returns the token in a directory's TokenFile, and makes one if there is none.
func KeptToken(dir string) (t Token, path string, err error) {
	path = filepath.Join(dir, TokenFile)
	t, err = ReadToken(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return t, path, err
	}
	text := rand.Text() + rand.Text()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		_, err = f.WriteString(text + "\n")
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if err != nil {
		return Token{}, path, fmt.Errorf("%w was not given and cannot be made: %w", ErrToken, err)
	}
	t, err = ParseToken(text)
	return t, path, err
}
