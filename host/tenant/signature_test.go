package tenant_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/tenant"
)

// The commands of MANIFEST.md make keys and signatures that a host takes, and openssl
// verifies what Sign makes.
func TestSignaturesOfOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("SKIPPED: no openssl here")
	}
	dir := t.TempDir()
	run := func(command string) {
		cmd := exec.Command("sh", "-ec", command)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s (%s)\n%s", command, openssl, out)
	}
	file := func(name string) string { return filepath.Join(dir, name) }
	wasm := []byte("\x00asm\x01\x00\x00\x00")
	require.NoError(t, os.WriteFile(file("store.wasm"), wasm, 0o600))

	readme, err := os.ReadFile("MANIFEST.md")
	require.NoError(t, err)
	for _, command := range []string{
		"openssl genpkey -algorithm ed25519 -out signing.pem",
		"openssl pkey -in signing.pem -pubout -out trusted.pem",
		`printf 'waddle plugin v1 sha256:%s\n' "$(sha256sum store.wasm | cut -c1-64)" > signed.txt`,
		"openssl pkeyutl -sign -rawin -inkey signing.pem -in signed.txt | base64 -w0",
	} {
		require.Contains(t, string(readme), command)
		run("(" + command + ") > output.txt")
	}
	keys, err := tenant.ReadTrustedKeys(file("trusted.pem"))
	require.NoError(t, err)
	require.Len(t, keys, 1)
	private, err := tenant.ReadSigningKey(file("signing.pem"))
	require.NoError(t, err)
	require.Equal(t, keys[0], private.Public())

	signature, err := os.ReadFile(file("output.txt"))
	require.NoError(t, err)
	require.Equal(t, tenant.Sign(private, tenant.Sum(wasm)), string(signature), "Ed25519 signs one text in one way")
	check := tenant.HostConfig{Dir: dir, TrustedKeys: keys}
	m := tenant.Manifest{Name: "a", Plugin: tenant.Source{File: "store.wasm", SHA256: tenant.Sum(wasm), Signature: string(signature)}}
	require.NotErrorIs(t, check.Check(t.Context(), m), tenant.ErrSignature)

	raw, err := base64.StdEncoding.DecodeString(tenant.Sign(private, tenant.Sum(wasm)))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file("signature"), raw, 0o600))
	run("openssl pkeyutl -verify -rawin -pubin -inkey trusted.pem -in signed.txt -sigfile signature")

	// Several keys in one file, and files that are none.
	run("openssl genpkey -algorithm ed25519 -out second.pem; openssl pkey -in second.pem -pubout >> trusted.pem")
	keys, err = tenant.ReadTrustedKeys(file("trusted.pem"))
	require.NoError(t, err)
	require.Len(t, keys, 2)
	run("openssl genpkey -algorithm x25519 -out x.pem; openssl pkey -in x.pem -pubout -out x.pub; cat signing.pem second.pem > two.pem; echo hello > text.pem")
	for name, want := range map[string]string{
		"signing.pem": "must have public keys alone", "x.pub": "is no Ed25519 key", "text.pem": "has no PEM block", "none.pem": "no such file", ".": "is a directory",
	} {
		_, err := tenant.ReadTrustedKeys(file(name))
		require.ErrorIs(t, err, tenant.ErrKeyFile, name)
		require.ErrorContains(t, err, want, name)
	}
	for name, want := range map[string]string{
		"trusted.pem": "must have an unencrypted private key", "x.pem": "is no Ed25519 key", "two.pem": "has several keys", "text.pem": "has no PEM block",
	} {
		_, err := tenant.ReadSigningKey(file(name))
		require.ErrorIs(t, err, tenant.ErrKeyFile, name)
		require.ErrorContains(t, err, want, name)
	}
}

// What is signed is fixed: another text would make all signatures void.
func TestSignedText(t *testing.T) {
	require.Equal(t, "waddle plugin v1 sha256:93a44bbb96c751218e4c00d479e4c14358122a389acca16205b1e4d0dc5f9476\n",
		string(tenant.SignedText(tenant.Sum([]byte("\x00asm\x01\x00\x00\x00")))))
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	require.True(t, ed25519.Verify(key.Public().(ed25519.PublicKey), tenant.SignedText("00"), decoded(t, tenant.Sign(key, "00"))))
}

func decoded(t *testing.T, text string) []byte {
	b, err := base64.StdEncoding.DecodeString(text)
	require.NoError(t, err)
	return b
}
