package client

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

// scramMechanism is the one that a client can use that does not do TLS itself: that with
// "-PLUS" needs the certificate.
const scramMechanism = "SCRAM-SHA-256"

// mostIterations bounds what a server may make the client compute: about a second.
const mostIterations = 200_000

// scram is the client's side of a log-in by RFC 5802 and RFC 7677. Both sides prove that
// they know the password, and neither gives it away.
//
// The password is taken as it stands, where the RFC would normalize it. This makes no
// difference to ASCII, nor to letters in their usual composed form.
type scram struct {
	config *Config
	nonce  string
	said   string // what both have said, as it is signed
	keys   *scramKeys
	proven bool // the server has proven that it knows the password
}

// scramKeys are made from a password and a salt by thousands of hashes. They serve for
// every log-in with the same salt.
type scramKeys struct {
	password, salt string
	iterations     int
	client, server []byte
}

func newSCRAM(config *Config) *scram {
	var random [18]byte
	config.Random(random[:])
	return &scram{config: config, nonce: base64.StdEncoding.EncodeToString(random[:])}
}

// first returns the first message. The server knows the name of the user already.
func (s *scram) first() []byte {
	s.said = "n=,r=" + s.nonce
	return []byte("n,," + s.said)
}

// final answers the server's first message.
func (s *scram) final(message []byte) ([]byte, error) {
	fields := strings.Split(string(message), ",")
	if len(fields) < 3 || !strings.HasPrefix(fields[0], "r=") || !strings.HasPrefix(fields[1], "s=") || !strings.HasPrefix(fields[2], "i=") {
		return nil, fmt.Errorf("%w: the server's answer is not one of %s", ErrPassword, scramMechanism)
	}
	nonce := fields[0][2:]
	salt, err := base64.StdEncoding.DecodeString(fields[1][2:])
	iterations, numberErr := strconv.Atoi(fields[2][2:])
	switch {
	case !strings.HasPrefix(nonce, s.nonce) || len(nonce) == len(s.nonce):
		return nil, fmt.Errorf("%w: the server answers another log-in", ErrPassword)
	case err != nil || len(salt) == 0 || numberErr != nil || iterations < 1:
		return nil, fmt.Errorf("%w: the server's answer is not one of %s", ErrPassword, scramMechanism)
	case iterations > mostIterations:
		return nil, fmt.Errorf("%w: the server asks for %d iterations: must be at most %d (scram_iterations)", ErrPassword, iterations, mostIterations)
	}
	if s.keys, err = s.config.scramKeys(string(salt), iterations); err != nil {
		return nil, err
	}
	final := "c=biws,r=" + nonce // biws is "n,,"
	s.said += "," + string(message) + "," + final
	stored := sha256.Sum256(s.keys.client)
	proof := sign(stored[:], s.said)
	for i := range proof {
		proof[i] ^= s.keys.client[i]
	}
	return []byte(final + ",p=" + base64.StdEncoding.EncodeToString(proof)), nil
}

// prove checks the server's last message.
func (s *scram) prove(message []byte) error {
	signature, found := strings.CutPrefix(string(message), "v=")
	got, err := base64.StdEncoding.DecodeString(signature)
	if !found || err != nil || s.keys == nil || !hmac.Equal(got, sign(s.keys.server, s.said)) {
		return fmt.Errorf("%w: the server has not proven that it knows the password", ErrPassword)
	}
	s.proven = true
	return nil
}

func (c *Config) scramKeys(salt string, iterations int) (*scramKeys, error) {
	k := &c.keys
	if k.client != nil && k.password == c.Password && k.salt == salt && k.iterations == iterations {
		return k, nil
	}
	salted, err := pbkdf2.Key(sha256.New, c.Password, []byte(salt), iterations, sha256.Size)
	if err != nil {
		return nil, err
	}
	*k = scramKeys{password: c.Password, salt: salt, iterations: iterations,
		client: sign(salted, "Client Key"), server: sign(salted, "Server Key")}
	return k, nil
}

func sign(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}
