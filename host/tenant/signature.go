package tenant

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
)

// Errors of signatures and their keys.
var (
	ErrSignature = errors.New("tenant: the plugin is not signed by a trusted key")
	ErrKeyFile   = errors.New("tenant: the file has no key that can be used")
)

// SignedText returns what is signed for a module: one line, with a digest as [Sum] gives
// it. The words in front keep a signature that was made for something else from counting.
func SignedText(sum string) []byte { return []byte("waddle plugin v1 sha256:" + sum + "\n") }

// Sign signs a module by its digest. The result is a manifest's plugin.signature. It says
// that the owner of the key lets this code run, in whichever tenant.
func Sign(key ed25519.PrivateKey, sum string) string {
	return base64.StdEncoding.EncodeToString(ed25519.Sign(key, SignedText(sum)))
}

// verify reports whether one of the keys has signed a module.
func verify(keys []ed25519.PublicKey, sum, signature string) bool {
	b, err := base64.StdEncoding.DecodeString(signature)
	if err != nil {
		return false
	}
	for _, key := range keys {
		if len(key) == ed25519.PublicKeySize && ed25519.Verify(key, SignedText(sum), b) {
			return true
		}
	}
	return false
}

// maxKeyFile keeps a name such as /dev/zero from being read for ever.
const maxKeyFile = 64 << 10

// ReadTrustedKeys reads Ed25519 public keys in PEM from a file: one or more, as openssl
// writes them:
//
//	openssl genpkey -algorithm ed25519 -out signing.pem
//	openssl pkey -in signing.pem -pubout -out trusted.pem
//
// It returns ErrKeyFile for a file without a key, with another kind of key, or with a
// private one, which does not belong on a host that only verifies.
func ReadTrustedKeys(file string) ([]ed25519.PublicKey, error) {
	var keys []ed25519.PublicKey
	err := eachPEM(file, func(block *pem.Block) error {
		if block.Type != "PUBLIC KEY" {
			return fmt.Errorf("it has a %q: must have public keys alone, as `openssl pkey -pubout` writes them", block.Type)
		}
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		public, ok := key.(ed25519.PublicKey)
		if err != nil || !ok {
			return fmt.Errorf("key %d is no Ed25519 key: make one with `openssl genpkey -algorithm ed25519`", len(keys)+1)
		}
		keys = append(keys, public)
		return nil
	})
	return keys, err
}

// ReadSigningKey reads an Ed25519 private key in PEM, as `openssl genpkey -algorithm
// ed25519` writes it. It returns ErrKeyFile for anything else.
func ReadSigningKey(file string) (ed25519.PrivateKey, error) {
	var found ed25519.PrivateKey
	err := eachPEM(file, func(block *pem.Block) error {
		if found != nil {
			return errors.New("it has several keys: must have one")
		}
		if block.Type != "PRIVATE KEY" {
			return fmt.Errorf("it has a %q: must have an unencrypted private key, as `openssl genpkey -algorithm ed25519` writes it", block.Type)
		}
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		private, ok := key.(ed25519.PrivateKey)
		if err != nil || !ok {
			return errors.New("the key is no Ed25519 key: make one with `openssl genpkey -algorithm ed25519`")
		}
		found = private
		return nil
	})
	return found, err
}

// eachPEM calls do for each block of a file, which must have at least one.
func eachPEM(file string, do func(*pem.Block) error) error {
	f, err := os.OpenFile(file, os.O_RDONLY|nonBlocking, 0)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrKeyFile, err)
	}
	defer f.Close()
	text, err := readRegular(f, maxKeyFile)
	if err != nil {
		return fmt.Errorf("%w: %s %w", ErrKeyFile, file, err)
	}
	for n := 0; ; n++ {
		block, rest := pem.Decode(text)
		if block == nil && n == 0 {
			return fmt.Errorf("%w: %s has no PEM block: must have a key as openssl writes it", ErrKeyFile, file)
		}
		if block == nil {
			return nil
		}
		if err := do(block); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrKeyFile, file, err)
		}
		text = rest
	}
}
