package tenant

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/waddle-sessions/waddle/host/session"
)

// ErrKeyring is returned when a tenant's keyring cannot be had.
var ErrKeyring = errors.New("tenant: the keyring cannot be had")

// FileKeyring returns the usual HostConfig.Keyring: a reference is the path of a file
// beneath dir, out of which no link leads. The file has one secret per line, newest first,
// as WADDLE_SECRET_FILE has; lines that begin with # are skipped. It must belong to the
// user of the process, or to root, and nobody else may read it or write to it.
//
// The function returns ErrKeyring.
func FileKeyring(dir string) func(ctx context.Context, tenant, ref string) (*session.Keyring, error) {
	return func(_ context.Context, _, ref string) (*session.Keyring, error) {
		if dir == "" {
			return nil, fmt.Errorf("%w: the host has no directory for files", ErrKeyring)
		}
		if !local(ref) {
			return nil, fmt.Errorf("%w: it must be a path beneath the host's directory with / between its parts, such as \"keys/alice.key\"", ErrKeyring)
		}
		secrets, err := readSecrets(dir, ref)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrKeyring, err)
		}
		k, err := session.NewKeyring(secrets...)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrKeyring, err)
		}
		return k, nil
	}
}

func readSecrets(dir, name string) (secrets []string, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := root.OpenFile(name, os.O_RDONLY|nonBlocking, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		// The name may be a secret by mistake.
		return nil, errors.New("there is no file with that name in the host's directory")
	case err != nil:
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := onlyOwnerReads(info); err != nil {
		return nil, err
	}
	text, err := readRegular(f, maxKeyFile)
	if err != nil {
		return nil, fmt.Errorf("it %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			secrets = append(secrets, line)
		}
	}
	return secrets, nil
}
