package tenant

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session"
)

const secret = "3sVhDKJ9l0pZ0cSyy0B4bXW/9yLKQx2pTn1Yqf8u5Zk="

// place is a host's directory with a plugin and a file of secrets.
func place(t *testing.T) (dir string, wasm []byte) {
	t.Helper()
	dir = t.TempDir()
	wasm = []byte("\x00asm\x01\x00\x00\x00")
	write(t, filepath.Join(dir, "plugins", "store.wasm"), string(wasm), 0o644)
	write(t, filepath.Join(dir, "keys", "alice.key"), "# the newest\n"+secret+"\n", 0o600)
	return dir, wasm
}

func write(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o700))
	require.NoError(t, os.WriteFile(name, []byte(text), mode))
	require.NoError(t, os.Chmod(name, mode))
}

func bundledPlugin(name string) Manifest {
	return Manifest{Name: name, Plugin: Source{Bundled: "memory"}}
}

func fromFile(wasm []byte) Manifest {
	return Manifest{Name: "alice", Plugin: Source{File: "plugins/store.wasm", SHA256: Sum(wasm)}}
}

// fault resolves a manifest and returns its one fault.
func fault(t *testing.T, g grounds, m Manifest) *FieldError {
	t.Helper()
	_, err := g.resolve(t.Context(), m)
	require.ErrorIs(t, err, ErrManifest)
	var field *FieldError
	require.ErrorAs(t, err, &field)
	return field
}

func TestPluginIsWhatTheManifestMeans(t *testing.T) {
	dir, wasm := place(t)
	g := grounds{dir: dir}
	p, err := g.resolve(t.Context(), fromFile(wasm))
	require.NoError(t, err)
	require.Equal(t, wasm, p.wasm)
	require.Equal(t, Sum(wasm), hex.EncodeToString(p.sum[:]))
	require.False(t, p.config.Trusted, "no tenant's plugin runs unmetered")

	// The same, given in the manifest, on a host without a directory.
	p, err = grounds{}.resolve(t.Context(), Manifest{Name: "alice", Plugin: Source{Bytes: wasm, SHA256: Sum(wasm)}})
	require.NoError(t, err)
	require.Equal(t, wasm, p.wasm)

	// Another file in its place.
	write(t, filepath.Join(dir, "plugins", "store.wasm"), "something else", 0o644)
	f := fault(t, g, fromFile(wasm))
	require.ErrorIs(t, f, ErrDigest)
	require.Equal(t, "$.plugin.sha256", f.Path)
	require.Contains(t, f.Problem, Sum([]byte("something else")))

	// A digest of a bundled plugin counts as well.
	m := bundledPlugin("alice")
	m.Plugin.SHA256 = Sum(nil)
	require.ErrorIs(t, fault(t, g, m), ErrDigest)
}

func TestPluginThatCannotBeRead(t *testing.T) {
	dir, wasm := place(t)
	outside := filepath.Join(t.TempDir(), "store.wasm")
	write(t, outside, string(wasm), 0o644)
	plugins := filepath.Join(dir, "plugins")
	require.NoError(t, os.Symlink(outside, filepath.Join(plugins, "absolute.wasm")))
	require.NoError(t, os.Symlink("../../../../../../../../../"+outside, filepath.Join(plugins, "relative.wasm")))
	require.NoError(t, os.Symlink("store.wasm", filepath.Join(plugins, "inside.wasm")))
	require.NoError(t, os.Symlink(filepath.Dir(outside), filepath.Join(dir, "elsewhere")))
	write(t, filepath.Join(plugins, "large.wasm"), "", 0o644)
	require.NoError(t, os.Truncate(filepath.Join(plugins, "large.wasm"), 1<<40))

	for name, want := range map[string]string{
		"plugins/none.wasm": "no such file", "plugins": "is a directory: must be a file", "plugins/absolute.wasm": "path escapes", "plugins/relative.wasm": "path escapes",
		"elsewhere/store.wasm": "path escapes", "plugins/large.wasm": "has 1099511627776 bytes: must have at most 8388608",
	} {
		m := fromFile(wasm)
		m.Plugin.File = name
		f := fault(t, grounds{dir: dir}, m)
		require.ErrorIs(t, f, ErrSource, name)
		require.Equal(t, "$.plugin.file", f.Path)
		require.Contains(t, f.Problem, want, name)
	}
	m := fromFile(wasm)
	m.Plugin.File = "plugins/inside.wasm"
	_, err := grounds{dir: dir}.resolve(t.Context(), m)
	require.NoError(t, err, "a link that stays inside")

	require.Contains(t, fault(t, grounds{}, fromFile(wasm)).Problem, "the host has no directory")
	require.ErrorIs(t, fault(t, grounds{dir: filepath.Join(dir, "none")}, fromFile(wasm)), os.ErrNotExist)

	m = fromFile(wasm)
	m.Limits.Module = 4
	require.Contains(t, fault(t, grounds{dir: dir}, m).Problem, "must have at most 4")
	m.Plugin = Source{Bytes: wasm, SHA256: Sum(wasm)}
	require.Contains(t, fault(t, grounds{dir: dir}, m).Problem, "must have at most 4 (limits.module)")
}

func TestSignatures(t *testing.T) {
	dir, wasm := place(t)
	public, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	other, _, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	resolve := func(signature string, keys ...ed25519.PublicKey) error {
		m := fromFile(wasm)
		m.Plugin.Signature = signature
		_, err := grounds{dir: dir, trustedKeys: keys}.resolve(t.Context(), m)
		return err
	}
	good := Sign(private, Sum(wasm))
	require.NoError(t, resolve(good, public))
	require.NoError(t, resolve(good, other, public), "one of the keys is enough")
	require.NoError(t, resolve(good), "a host without keys looks at no signature")
	require.ErrorIs(t, resolve("", public), ErrSignature)
	require.ErrorIs(t, resolve(good, other), ErrSignature)
	require.ErrorIs(t, resolve(Sign(private, Sum([]byte("another plugin"))), public), ErrSignature)
	require.ErrorIs(t, resolve(good, public[:5]), ErrSignature, "half a key panics nowhere and verifies nothing")

	// A signature that the key made for another purpose.
	plain := ed25519.Sign(private, []byte(Sum(wasm)))
	require.ErrorIs(t, resolve(base64of(plain), public), ErrSignature)

	// Bundled plugins are part of the program.
	_, err = grounds{trustedKeys: []ed25519.PublicKey{public}}.resolve(t.Context(), bundledPlugin("alice"))
	require.NoError(t, err)
}

func TestKeyring(t *testing.T) {
	dir, _ := place(t)
	m := bundledPlugin("alice")
	m.Keyring = "keys/alice.key"
	p, err := grounds{dir: dir}.resolve(t.Context(), m)
	require.NoError(t, err)
	want, err := session.NewKeyring(secret)
	require.NoError(t, err)
	require.Equal(t, reflect.ValueOf(want).Elem().FieldByName("keys").Len(), reflect.ValueOf(p.settings.Keyring).Elem().FieldByName("keys").Len())
	require.NoError(t, p.settings.Check())

	// Without one there is none, and nothing of the stand-in is left.
	p, err = grounds{dir: dir}.resolve(t.Context(), bundledPlugin("alice"))
	require.NoError(t, err)
	require.Nil(t, p.settings.Keyring)

	// The application's function decides alone.
	var asked []string
	g := grounds{keyring: func(_ context.Context, tenant, ref string) (*session.Keyring, error) {
		asked = append(asked, tenant, ref)
		return want, nil
	}}
	m.Keyring = "vault:secret/alice"
	p, err = g.resolve(t.Context(), m)
	require.NoError(t, err)
	require.Same(t, want, p.settings.Keyring)
	require.Equal(t, []string{"alice", "vault:secret/alice"}, asked)

	// One that returns nothing leaves no session unsealed.
	g.keyring = func(context.Context, string, string) (*session.Keyring, error) { return nil, nil }
	require.ErrorIs(t, fault(t, g, m), ErrKeyring)
	sealed := errors.New("sealed")
	g.keyring = func(context.Context, string, string) (*session.Keyring, error) { return nil, sealed }
	require.ErrorIs(t, fault(t, g, m), ErrKeyring)
	require.ErrorIs(t, fault(t, g, m), sealed)
}

func TestKeyringFiles(t *testing.T) {
	dir, _ := place(t)
	outside := filepath.Join(t.TempDir(), "alice.key")
	write(t, outside, secret, 0o600)
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "keys", "link.key")))
	require.NoError(t, os.Symlink("alice.key", filepath.Join(dir, "keys", "inside.key")))
	write(t, filepath.Join(dir, "keys", "weak.key"), "short\n", 0o600)
	write(t, filepath.Join(dir, "keys", "empty.key"), "# nothing\n", 0o600)
	write(t, filepath.Join(dir, "keys", "large.key"), string(make([]byte, maxKeyFile+1)), 0o600)
	get := FileKeyring(dir)
	for _, name := range []string{"keys/alice.key", "keys/inside.key"} {
		_, err := get(t.Context(), "alice", name)
		require.NoError(t, err, name)
	}
	for name, want := range map[string]string{
		"keys/none.key": "there is no file with that name", "keys": "is a directory: must be a file", "keys/link.key": "path escapes", "../alice.key": "must be a path beneath",
		outside: "must be a path beneath", "keys/weak.key": "has 5 bytes: must have at least 32", "keys/empty.key": "has no secret", "keys/large.key": "must have at most 65536",
	} {
		_, err := get(t.Context(), "alice", name)
		require.ErrorIs(t, err, ErrKeyring, name)
		require.ErrorContains(t, err, want, name)
		require.NotContains(t, err.Error(), "short\n")
	}
	_, err := FileKeyring("")(t.Context(), "alice", "a.key")
	require.ErrorContains(t, err, "the host has no directory")
}

func TestMounts(t *testing.T) {
	dir, _ := place(t)
	shared := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(shared, "geo"), 0o700))
	require.NoError(t, os.Symlink("/", filepath.Join(shared, "root")))
	write(t, filepath.Join(shared, "file"), "", 0o600)
	m := bundledPlugin("alice")
	m.Mounts = []Mount{{Dir: "files"}, {Dir: filepath.Join(shared, "geo"), Path: "/geo", ReadOnly: true}, {Dir: "a/b", Path: "/b", Bytes: 1 << 20, Files: 7}}
	m.Limits.FileBytes, m.Limits.Files = 4<<20, 100
	g := grounds{dir: dir, mountRoots: []string{"/nowhere", shared}}
	p, err := g.resolve(t.Context(), m)
	require.NoError(t, err)
	own := filepath.Join(dir, "mounts", "alice")
	real, err := filepath.EvalSymlinks(filepath.Join(shared, "geo"))
	require.NoError(t, err)
	require.Equal(t, []plugin.Mount{
		{Dir: filepath.Join(own, "files"), MaxBytes: 3 << 20, MaxFiles: 93},
		{Dir: real, Path: "/geo", ReadOnly: true},
		{Dir: filepath.Join(own, "a", "b"), Path: "/b", MaxBytes: 1 << 20, MaxFiles: 7},
	}, p.config.Mounts)
	require.NoDirExists(t, own, "resolving changes nothing")
	require.NoError(t, p.makeDirs())
	require.DirExists(t, filepath.Join(own, "a", "b"))
	info, err := os.Stat(own)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	p, err = g.resolve(t.Context(), m)
	require.NoError(t, err)
	require.Empty(t, p.makes)

	for name, c := range map[string]struct {
		g     grounds
		mount Mount
		want  string
	}{
		"absolute, none allowed":  {grounds{dir: dir}, Mount{Dir: shared + "/geo"}, "this host allows no directory outside its own"},
		"absolute, not beneath":   {g, Mount{Dir: dir}, "not beneath a directory that this host allows"},
		"absolute, name like one": {g, Mount{Dir: shared + "2"}, "no such file"},
		"absolute, by a link":     {g, Mount{Dir: shared + "/root/etc"}, "not beneath a directory that this host allows"},
		"absolute, a file":        {g, Mount{Dir: shared + "/file"}, "is a file: must be a directory"},
		"no directory":            {grounds{}, Mount{Dir: "files"}, "the host has no directory"},
	} {
		m := bundledPlugin("alice")
		m.Mounts = []Mount{c.mount}
		f := fault(t, c.g, m)
		require.ErrorIs(t, f, ErrMount, name)
		require.Contains(t, f.Problem, c.want, name)
	}

	// A link out of the tenant's directory, which somebody has put there.
	require.NoError(t, os.Symlink(shared, filepath.Join(own, "out")))
	m.Mounts = []Mount{{Dir: "out/geo"}}
	require.Contains(t, fault(t, g, m).Problem, "path escapes")

	// What one mount takes the other has not.
	m.Mounts = []Mount{{Dir: "files", Bytes: 4 << 20}, {Dir: "more", Path: "/more"}}
	require.Contains(t, fault(t, g, m).Problem, "gets no room")
}

func TestShares(t *testing.T) {
	for _, c := range []struct{ limit, first, second, third, wantFirst, wantSecond, wantThird int64 }{
		{90, 0, 0, 0, 30, 30, 30}, {90, 50, 0, 0, 50, 20, 20}, {90, 50, 60, 0, 50, 40, 0}, {90, 100, 0, 0, 90, 0, 0}, {90, 10, 10, 10, 10, 10, 10},
	} {
		require.Equal(t, []int64{c.wantFirst, c.wantSecond, c.wantThird}, shares(c.limit, []int64{c.first, c.second, c.third}))
	}
	require.Empty(t, shares(90, nil))
}

func TestNetworkIsNotGranted(t *testing.T) {
	m := bundledPlugin("alice")
	m.Network = []string{"tcp://redis:6379"}
	f := fault(t, grounds{}, m)
	require.ErrorIs(t, f, plugin.ErrGrant)
	require.Equal(t, "$.network", f.Path)
}

func TestEnginesWithFilesNeedADirectory(t *testing.T) {
	dir, _ := place(t)
	for _, engine := range []string{"keyfolder", "dynfile"} {
		m := bundledPlugin("alice")
		m.Plugin.Bundled = engine
		require.Contains(t, fault(t, grounds{dir: dir}, m).Problem, "keeps files, and it has no directory")
		m.Persist = true
		_, err := grounds{dir: dir}.resolve(t.Context(), m)
		require.NoError(t, err)
		m.Persist, m.Mounts = false, []Mount{{Dir: "files"}}
		_, err = grounds{dir: dir}.resolve(t.Context(), m)
		require.NoError(t, err)
		m.Mounts[0].ReadOnly = true
		require.Contains(t, fault(t, grounds{dir: dir}, m).Problem, "keeps files, and it has no directory")
	}
}

func TestSessionSettings(t *testing.T) {
	m := bundledPlugin("alice")
	m.Session = map[string]string{"SESSION_COOKIE_NAME": "sid", "SESSION_DURATION": "1h", "SESSION_IDLE_TIMEOUT": "off"}
	p, err := grounds{}.resolve(t.Context(), m)
	require.NoError(t, err)
	require.Equal(t, "sid", p.settings.CookieName)
	require.Equal(t, time.Hour, p.settings.Lifetime)
	require.Empty(t, p.settings.CookieDomain, "cookies are for one host unless the manifest says otherwise")
}

// The lower limit counts, in each field, and each reaches the plugin.
func TestTheLowerLimitCounts(t *testing.T) {
	defaults := reflect.ValueOf(DefaultLimits())
	for i := range defaults.NumField() {
		name := defaults.Type().Field(i).Name
		usual := defaults.Field(i).Int()
		require.Positive(t, usual, "%s has no default", name)
		with := func(n int64) (l Limits) {
			reflect.ValueOf(&l).Elem().Field(i).SetInt(n)
			return l
		}
		effective := func(own, host int64) int64 {
			return reflect.ValueOf(with(own).under(with(host).withDefaults())).Field(i).Int()
		}
		require.Equal(t, usual, effective(0, 0), name)
		if usual > 1 { // less than one call is none
			require.Equal(t, usual-1, effective(usual-1, 0), name)
		}
		require.Equal(t, usual, effective(usual+1, 0), "%s: a manifest does not raise what the host allows", name)
		require.Equal(t, usual+1, effective(0, usual+1), name)
		require.Equal(t, usual+1, effective(usual+2, usual+1), name)
		require.Equal(t, int64(1), effective(1, usual+1), name)

		// It reaches the plugin.
		configOf := func(l Limits) plugin.Config {
			dir := t.TempDir()
			m := bundledPlugin("alice")
			m.Mounts, m.Network = []Mount{{Dir: "files"}}, []string{"tcp://redis.example.com:6379"}
			m.Limits = l
			p, err := grounds{dir: dir, network: Network{Grant: true}}.resolve(t.Context(), m)
			require.NoError(t, err, name)
			p.config.Mounts[0].Dir = ""
			return p.config
		}
		if usual > 1 {
			require.NotEqual(t, configOf(Limits{}), configOf(with(usual-1)), "%s has no effect on the plugin", name)
		}
	}
	_, err := NewHost(HostConfig{Limits: Limits{Memory: -1}})
	require.ErrorContains(t, err, "HostConfig.Limits: $.limits.memory is -1: must be 1 or more")
}

func base64of(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
