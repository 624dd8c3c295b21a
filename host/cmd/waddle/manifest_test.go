package main_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/tenant"
)

func TestManifestCheck(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		return file
	}
	good := write("alice.json", `{"name": "alice", "hosts": ["alice.localhost"], "plugin": {"bundled": "memory"}}`)
	sealed := write("bob.json", `{"name": "bob", "hosts": ["bob.localhost"], "plugin": {"bundled": "memory"}, "keyring": "bob.key"}`)
	twin := write("twin.json", `{"name": "alice", "hosts": ["bob.localhost"], "plugin": {"bundled": "memory"}}`)
	wrong := write("wrong.json", "{\n  \"name\": \"A\",\n  \"plugin\": {\"bundled\": \"redis\"}\n}")
	text := write("text.json", "hello")
	connects := write("dora.json", `{"name": "dora", "plugin": {"bundled": "memory"}, "network": ["tcp://10.1.2.3:6379", "unix:///run/redis.sock"]}`)
	write("store.wasm", "\x00asm\x01\x00\x00\x00")
	refused := write("refused.json", `{"name": "carol", "plugin": {"file": "store.wasm", "sha256": "`+tenant.Sum([]byte("\x00asm\x01\x00\x00\x00"))+`"}}`)

	for _, c := range []struct {
		name   string
		args   []string
		code   int
		stdout []string
		says   string
	}{
		{"one", []string{good}, 0, []string{"ok       " + good + ": tenant alice"}, ""},
		{"what it refers to", []string{sealed}, 1, []string{"refused  " + sealed, "         $.keyring cannot be used: there is no file"}, "waddle: 1 of 1 manifests would be refused"},
		{"not what it refers to", []string{sealed, "--text-only"}, 0, []string{"ok       " + sealed}, ""},
		{"each other", []string{good, sealed, twin, "--text-only"}, 1, []string{"refused  " + twin, `$.name is "alice", as in ` + good, `$.hosts[0] is "bob.localhost", as in ` + sealed},
			"waddle: 1 of 3 manifests would be refused"},
		{"all faults", []string{wrong, text, good}, 1, []string{"line 2: $.name is \"A\"", "line 3: $.plugin.bundled is \"redis\"", "line 1: $ is not JSON", "ok       " + good},
			"waddle: 2 of 3 manifests would be refused"},
		{"connections", []string{connects}, 1, []string{"$.network asks for connections, which this host grants to no plugin"}, "waddle: 1 of 1 manifests would be refused"},
		{"connections that are granted", []string{connects, "--network", "--private", "10.1.0.0/16", "--private", "fc00::/7", "--socket", "/run/redis.sock"}, 0, []string{"ok       " + connects}, ""},
		{"connections of which some are granted", []string{connects, "--network"}, 1, []string{`$.network[0] is "tcp://10.1.2.3:6379"`, `$.network[1] is "unix:///run/redis.sock"`}, "waddle: 1 of 1 manifests would be refused"},
		{"the text of connections", []string{connects, "--text-only"}, 0, []string{"ok       " + connects}, ""},
		{"no range", []string{connects, "--network", "--private", "10.1.2.3/16"}, 2, nil, `waddle: --private is "10.1.2.3/16": must be a range of addresses, such as 10.1.0.0/16`},
		{"ranges without a network", []string{connects, "--private", "10.1.0.0/16"}, 2, nil, "waddle: --private and --socket have no effect without --network: add it, or leave them out"},
		{"a plugin that is none", []string{refused}, 1, []string{"$.plugin would be refused: plugin carol: "}, "waddle: 1 of 1 manifests would be refused"},
		{"no file", []string{filepath.Join(dir, "none.json")}, 1, []string{"no such file"}, "waddle: 1 of 1 manifests would be refused"},
		{"a directory", []string{dir}, 1, []string{"is a directory: must be a file"}, "waddle: 1 of 1 manifests would be refused"},
		{"an empty list of keys", []string{good, "--trusted-keys", text}, 2, nil, "waddle: tenant: the file has no key that can be used: " + text + " has no PEM block: must have a key as openssl writes it"},
		{"flags that exclude each other", []string{good, "--text-only", "--dir", dir}, 2, nil, "waddle: --text-only looks at the text alone, so --trusted-keys, --dir, --network, --private and --socket have no effect: leave one of them out"},
		{"another action's flag", []string{good, "--key", "k"}, 2, nil, "waddle: --key is for sign: leave it out for check"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := run(t, nil, append([]string{"manifest", "check"}, c.args...)...)
			require.Equal(t, c.code, r.code, r.stderr)
			for _, line := range c.stdout {
				require.Contains(t, r.stdout, line)
			}
			if c.says != "" {
				require.Equal(t, c.says, lastLine(r))
			}
			if c.code != 2 {
				var report struct {
					Manifests []struct {
						File, Name string
						OK         bool
						Faults     []struct {
							Path, Problem string
							Line          int
						}
					}
				}
				r = run(t, nil, append([]string{"manifest", "check", "--json"}, c.args...)...)
				require.Equal(t, c.code, r.code)
				require.NoError(t, json.Unmarshal([]byte(r.stdout), &report))
				for _, m := range report.Manifests {
					require.Equal(t, m.OK, len(m.Faults) == 0, m.File)
				}
			}
		})
	}
	for args, says := range map[string]string{
		"manifest":              "waddle: manifest needs an action: check, sum, sign or schema",
		"manifest frob x":       `waddle: the action is "frob": must be check, sum, sign or schema`,
		"manifest check":        "waddle: check needs the file of a manifest: waddle manifest check FILE.json",
		"manifest schema x":     "waddle: schema takes no file, got 1: x",
		"manifest sign x":       "waddle: sign needs a key: --key signing.pem; `openssl genpkey -algorithm ed25519 -out signing.pem` makes one",
		"manifest sum x --json": "waddle: --trusted-keys, --text-only, --json, --network, --private and --socket are for check: leave them out for sum",
	} {
		r := run(t, nil, strings.Fields(args)...)
		require.Equal(t, 2, r.code, args)
		require.Equal(t, says, lastLine(r))
	}
}

func TestManifestSchema(t *testing.T) {
	r := run(t, nil, "manifest", "schema")
	require.Equal(t, 0, r.code, r.stderr)
	require.Equal(t, string(tenant.Schema()), r.stdout)
}

// A plugin is sealed, checked, changed, refused and sealed again.
func TestManifestSumAndSign(t *testing.T) {
	dir := t.TempDir()
	manifest, key, trusted := filepath.Join(dir, "alice.json"), filepath.Join(dir, "signing.pem"), filepath.Join(dir, "trusted.pem")
	writeKeys(t, key, trusted)
	store := filepath.Join(dir, "plugins", "store.wasm")
	require.NoError(t, os.Mkdir(filepath.Dir(store), 0o700))
	plugin := moduleBytes(t)
	require.NoError(t, os.WriteFile(store, plugin, 0o600))
	require.NoError(t, os.WriteFile(manifest, []byte("{\n  \"name\": \"alice\",\n  \"plugin\": {\"file\": \"plugins/store.wasm\"}\n}\n"), 0o640))
	says := func(code int, want string, args ...string) {
		t.Helper()
		r := run(t, nil, append([]string{"manifest"}, args...)...)
		require.Equal(t, code, r.code, r.stdout+r.stderr)
		require.Contains(t, r.stdout+r.stderr, want)
	}
	says(1, "line 3: $.plugin.sha256 is missing", "check", manifest)
	says(0, manifest+" has the digest of its plugin\n", "sum", manifest)
	says(0, manifest+" has not changed\n", "sum", manifest)
	text, err := os.ReadFile(manifest)
	require.NoError(t, err)
	require.Equal(t, "{\n  \"name\": \"alice\",\n  \"plugin\": {\"file\": \"plugins/store.wasm\", \"sha256\": \""+tenant.Sum(plugin)+"\"}\n}\n", string(text))
	info, err := os.Stat(manifest)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o640), info.Mode().Perm())
	says(0, "ok ", "check", manifest)
	says(1, "$.plugin.signature is missing", "check", manifest, "--trusted-keys", trusted)
	says(0, "has the digest of its plugin and a signature", "sign", manifest, "--key", key)
	says(0, "ok ", "check", manifest, "--trusted-keys", trusted)

	// Another plugin in its place is refused, until somebody seals the manifest again.
	require.NoError(t, os.WriteFile(store, append(bytes.Clone(plugin), 0, 2, 1, 'x'), 0o600))
	says(1, "$.plugin.sha256 is ", "check", manifest, "--trusted-keys", trusted)
	says(0, "has the digest", "sum", manifest)
	says(1, "$.plugin.signature is of none of the 1 trusted keys, or of another plugin", "check", manifest, "--trusted-keys", trusted)
	says(0, "and a signature", "sign", manifest, "--key", key)
	says(0, "ok ", "check", manifest, "--trusted-keys", trusted)

	// What cannot be sealed stays as it is, and nothing is left beside it.
	before, err := os.ReadFile(manifest)
	require.NoError(t, err)
	says(2, "must have an unencrypted private key", "sign", manifest, "--key", trusted)
	require.NoError(t, os.Remove(store))
	says(1, "no such file", "sum", manifest)
	after, err := os.ReadFile(manifest)
	require.NoError(t, err)
	require.Equal(t, before, after)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 4)

	// A link stays one.
	link := filepath.Join(dir, "link.json")
	require.NoError(t, os.WriteFile(store, plugin, 0o600))
	require.NoError(t, os.Symlink("alice.json", link))
	says(0, "has the digest", "sum", link)
	info, err = os.Lstat(link)
	require.NoError(t, err)
	require.NotZero(t, info.Mode()&os.ModeSymlink)
}

func writeKeys(t *testing.T, private, public string) {
	t.Helper()
	pub, key, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(private, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
	der, err = x509.MarshalPKIXPublicKey(pub)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(public, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600))
}
