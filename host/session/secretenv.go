package session

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/waddle-sessions/waddle/host/internal/environ"
)

// ErrSecretFile is returned when the file of secrets cannot be read.
var ErrSecretFile = errors.New("session: the file of secrets cannot be read")

// The variables that give Settings.Keyring.
const (
	secretVariable     = environ.Secret
	secretFileVariable = environ.SecretFile
)

// secretsOf makes the keyring of an environment. Someone who names a secret wants
// sessions sealed. So a variable that gives none, for example because it was set
// to another one that is empty, is an error, not a server that seals nothing.
func secretsOf(values map[string]string) (*Keyring, error) {
	secret, isSet := values[secretVariable]
	file, fileIsSet := values[secretFileVariable]
	secrets := strings.Fields(secret)
	file = strings.TrimSpace(file)
	switch {
	case !isSet && !fileIsSet:
		return nil, nil
	case len(secrets) > 0 && file != "":
		return nil, fmt.Errorf("%w: %s and %s are both set: must be one of them", ErrSettings, secretVariable, secretFileVariable)
	case len(secrets) > 0:
		return keyringFrom(secretVariable, secrets)
	case file == "":
		name := secretVariable
		if fileIsSet {
			name = secretFileVariable
		}
		return nil, fmt.Errorf("%w: %s is set to nothing: %w: must be a secret, or unset to leave sessions readable for the storage", ErrSettings, name, ErrSecret)
	}
	secrets, err := readSecrets(file)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w: %w", ErrSettings, secretFileVariable, ErrSecretFile, err)
	}
	return keyringFrom(secretFileVariable, secrets)
}

// maxSecretFile keeps a name such as /dev/zero from being read for ever.
const maxSecretFile = 64 << 10

// readSecrets reads secrets, one per line, newest first. It skips lines that
// begin with #.
func readSecrets(name string) (secrets []string, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxSecretFile {
		return nil, fmt.Errorf("%s is too large: must have at most %d bytes", name, maxSecretFile)
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			secrets = append(secrets, line)
		}
	}
	return secrets, nil
}

func keyringFrom(variable string, secrets []string) (*Keyring, error) {
	k, err := NewKeyring(secrets...)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrSettings, variable, err)
	}
	return k, nil
}
