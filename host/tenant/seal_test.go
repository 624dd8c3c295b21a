package tenant_test

import (
	"crypto/ed25519"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/tenant"
)

func TestSeal(t *testing.T) {
	dir := t.TempDir()
	wasm := []byte("\x00asm\x01\x00\x00\x00")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "store.wasm"), wasm, 0o600))
	sum := tenant.Sum(wasm)
	_, key, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	signature := tenant.Sign(key, sum)

	for name, c := range map[string]struct {
		key      ed25519.PrivateKey
		text     string
		wantText string
	}{
		"on one line": {nil, `{"name": "a",  "plugin": {"file": "store.wasm"}, "persist":true}`,
			`{"name": "a",  "plugin": {"file": "store.wasm", "sha256": "SUM"}, "persist":true}`},
		"on lines": {nil, "{\n\t\"plugin\": {\n\t\t\"file\": \"store.wasm\"\n\t},\n\t\"name\": \"a\"\n}\n",
			"{\n\t\"plugin\": {\n\t\t\"file\": \"store.wasm\",\n\t\t\"sha256\": \"SUM\"\n\t},\n\t\"name\": \"a\"\n}\n"},
		"an old one": {nil, `{"name": "a", "plugin": {"sha256" : "` + strings.Repeat("0", 64) + `" , "file": "store.wasm"}}`,
			`{"name": "a", "plugin": {"sha256" : "SUM" , "file": "store.wasm"}}`},
		"one that is wrong": {nil, `{"name": "a", "plugin": {"sha256": "later", "file": "store.wasm"}}`,
			`{"name": "a", "plugin": {"sha256": "SUM", "file": "store.wasm"}}`},
		"names that look alike": {nil, `{"name": "a", "config": {"sha256": "x", "plugin": "{}"}, "plugin": {"file": "store.wasm"}}`,
			`{"name": "a", "config": {"sha256": "x", "plugin": "{}"}, "plugin": {"file": "store.wasm", "sha256": "SUM"}}`},
		"signed": {key, `{"name": "a", "plugin": {"file": "store.wasm"}}`,
			`{"name": "a", "plugin": {"file": "store.wasm", "sha256": "SUM", "signature": "SIGNATURE"}}`},
		"signed again": {key, `{"name": "a", "plugin": {"signature": "x", "file": "store.wasm"}}`,
			`{"name": "a", "plugin": {"signature": "SIGNATURE", "file": "store.wasm", "sha256": "SUM"}}`},
		"a bundled plugin": {key, `{"name": "a", "plugin": {"bundled": "memory"}}`, `{"name": "a", "plugin": {"bundled": "memory"}}`},
		"bytes":            {nil, `{"name": "a", "plugin": {"bytes": "AGFzbQEAAAA="}}`, `{"name": "a", "plugin": {"bytes": "AGFzbQEAAAA=", "sha256": "SUM"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			sealed, err := tenant.Seal([]byte(c.text), dir, c.key)
			require.NoError(t, err)
			require.Equal(t, strings.NewReplacer("SUM", sum, "SIGNATURE", signature).Replace(c.wantText), string(sealed))
			again, err := tenant.Seal(sealed, dir, c.key)
			require.NoError(t, err)
			require.Equal(t, sealed, again)
		})
	}
	for text, want := range map[string]string{
		`{"name": "a"}`: "$.plugin is missing", `{"name": "a", "plugin": {"bundled": "redis"}}`: "must be memory,",
		`{"name": "a", "plugin": {"file": "none.wasm"}}`: "no such file", `{"name": "A", "plugin": {"file": "store.wasm"}}`: "$.name is",
		`{`: "is not JSON", `[]`: "must be an object",
	} {
		_, err := tenant.Seal([]byte(text), dir, nil)
		require.ErrorIs(t, err, tenant.ErrManifest, text)
		require.ErrorContains(t, err, want, text)
	}
}
