package main_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/engines"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

// Secrets of tests, by file.
const (
	oldSecret = "b2xkIHNlY3JldCBmb3IgdGVzdHMgb25seSwgMQ=="
	newSecret = "bmV3IHNlY3JldCBmb3IgdGVzdHMgb25seSwgMg=="
)

// keptIn is a place of sessions that a test looks into itself, between runs of the program.
type keptIn struct {
	engines.Settings
	secret string
	codec  session.Codec
}

// place returns it as the program has it.
func (k keptIn) place() string {
	if k.Dir == "" {
		return k.Storage
	}
	return k.Storage + ":" + k.Dir
}

// with opens the place for the time of a function.
func (k keptIn) with(t *testing.T, do func(s store.Store, m *session.Manager)) {
	t.Helper()
	k.Config.Logger, k.Config.SweepInterval = slog.New(slog.DiscardHandler), -1
	s, err := k.Open(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close(context.Background())) }()
	settings := session.Settings{Codec: k.codec, OnEvent: func(context.Context, session.Event) {}}
	for _, codec := range []session.Codec{session.CBOR, session.JSON} {
		if k.codec == nil || codec.ID() != k.codec.ID() {
			settings.ReadCodecs = append(settings.ReadCodecs, codec)
		}
	}
	if k.codec == nil {
		settings.ReadCodecs = []session.Codec{session.JSON}
	}
	if k.secret != "" {
		settings.Keyring, err = session.NewKeyring(k.secret)
		require.NoError(t, err)
	}
	m, err := session.New(s, settings)
	require.NoError(t, err)
	do(s, m)
}

// fill begins sessions of all kinds, and returns the ids of those that were ended.
func (k keptIn) fill(t *testing.T, n int) (ended []string) {
	t.Helper()
	k.with(t, func(_ store.Store, m *session.Manager) {
		for i := range n {
			s := m.Session(t.Context(), "")
			require.NoError(t, s.Set("n", i))
			require.NoError(t, s.Set("basket", map[string]any{"tea": []string{"green", strings.Repeat("x", i%700)}, "price": 1.5}))
			if i%3 == 0 {
				require.NoError(t, s.LogIn(fmt.Sprintf("user %d", i%60), map[string]string{"browser": "lynx"}))
			}
			if i%5 == 0 {
				require.NoError(t, s.SetExpiry(time.Duration(1+i)*time.Hour))
			}
			require.NoError(t, s.Save())
			if i%10 == 0 {
				id, err := s.ID()
				require.NoError(t, err)
				require.NoError(t, m.Session(t.Context(), id).Destroy())
				ended = append(ended, id)
			}
		}
	})
	return ended
}

// content returns all that a place has: sessions with their values as operators see
// them, and how many other records there are.
func (k keptIn) content(t *testing.T) (sessions map[string]session.SessionDetail, records int) {
	t.Helper()
	sessions = make(map[string]session.SessionDetail)
	k.with(t, func(s store.Store, m *session.Manager) {
		for info, err := range m.AllSessions(t.Context()) {
			require.NoError(t, err)
			d, err := m.SessionByHandle(t.Context(), info.Handle)
			require.NoError(t, err)
			require.Empty(t, d.Unreadable)
			d.Size = 0 // differs by codec
			sessions[info.Handle] = d
		}
		for _, err := range store.Keys(t.Context(), s, store.At(time.Now())) {
			require.NoError(t, err)
			records++
		}
	})
	return sessions, records
}

func secretFile(t *testing.T, secret string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(file, []byte(secret+"\n"), 0o600))
	return file
}

// TestMigrate moves sessions between engines, codecs, secrets and numbers of shards.
func TestMigrate(t *testing.T) {
	if testing.Short() {
		t.Skip("starts servers")
	}
	redis := backend.Redis(t, backend.RedisOptions{})
	postgres := backend.Postgres(t, backend.PostgresOptions{})
	server := func(url string) func(*testing.T) engines.Settings {
		return func(*testing.T) engines.Settings { return engines.Settings{Storage: url} }
	}
	directory := func(engine string, shards int) func(*testing.T) engines.Settings {
		return func(t *testing.T) engines.Settings {
			return engines.Settings{Storage: engine, Dir: filepath.Join(t.TempDir(), "sessions"), Config: plugin.Config{Shards: shards}}
		}
	}
	const n = 60
	for _, c := range []struct {
		name                 string
		from, to             func(*testing.T) engines.Settings
		fromCodec, toCodec   session.Codec
		fromSecret, toSecret string
		args                 []string
	}{
		{name: "memory to dynfile", from: directory("memory", 1), to: directory("dynfile", 1), args: []string{"--shards", "1"}},
		{name: "keyfolder to dynfile, JSON", from: directory("keyfolder", 2), to: directory("dynfile", 4), toCodec: session.JSON, args: []string{"--codec", "json", "--shards", "4"}},
		{name: "sealed anew, to CBOR", from: directory("dynfile", 1), to: directory("memory", 1), fromSecret: oldSecret, toSecret: newSecret, fromCodec: session.JSON, toCodec: session.CBOR, args: []string{"--codec", "cbor", "--new-secret-file"}},
		{name: "sealed as it is", from: directory("dynfile", 1), to: directory("dynfile", 2), fromSecret: oldSecret, toSecret: oldSecret, args: []string{"--shards", "2"}},
		{name: "sealed and unsealed", from: directory("dynfile", 1), to: directory("keyfolder", 1), fromSecret: oldSecret, args: []string{"--unseal", "--shards", "1"}},
		{name: "sealed for the first time, to a server", from: directory("memory", 1), to: server("redis://" + redis.Addr()), toSecret: newSecret, args: []string{"--new-secret-file"}},
		{name: "server to server", from: server("redis://" + redis.Addr()), to: server("postgres://postgres@" + postgres.Addr() + "/postgres"), fromSecret: newSecret, toSecret: newSecret},
	} {
		t.Run(c.name, func(t *testing.T) {
			from := keptIn{c.from(t), c.fromSecret, c.fromCodec}
			var ended []string
			if from.Dir != "" {
				ended = from.fill(t, n)
			}
			want, records := from.content(t)
			require.NotEmpty(t, want)
			to := keptIn{c.to(t), c.toSecret, c.toCodec}
			args := append([]string{"migrate", "--json", "--from", from.place(), "--to", to.place(), "--journal", filepath.Join(t.TempDir(), "journal")}, c.args...)
			if args[len(args)-1] == "--new-secret-file" {
				args = append(args, secretFile(t, c.toSecret))
			}
			var variables []string
			if c.fromSecret != "" {
				variables = []string{"WADDLE_SECRET_FILE=" + secretFile(t, c.fromSecret)}
			}
			r := run(t, variables, args...)
			require.Equal(t, 0, r.code, "%s%s", r.stdout, r.stderr)
			said := object(t, r.stdout)
			require.Equal(t, float64(records), said["verified"], r.stdout)
			require.Equal(t, float64(records), said["written"], r.stdout)
			require.Equal(t, true, said["done"])

			found, arrived := to.content(t)
			require.Equal(t, want, found)
			require.Equal(t, records, arrived)
			still, left := from.content(t)
			require.Equal(t, want, still, "the source is as it was")
			require.Equal(t, records, left)
			to.with(t, func(_ store.Store, m *session.Manager) {
				for _, id := range ended {
					s := m.Session(t.Context(), id)
					require.NoError(t, s.Set("n", 1))
					require.ErrorIs(t, s.Save(), session.ErrGone, "an ended session stays ended")
				}
				list, err := m.UserSessions(t.Context(), "user 3")
				require.NoError(t, err)
				require.NotEmpty(t, list)
			})

		})
	}
}

// TestMigrateAgain: what has changed since a move is moved by another one.
func TestMigrateAgain(t *testing.T) {
	from := keptIn{Settings: engines.Settings{Storage: "memory", Dir: filepath.Join(t.TempDir(), "from"), Config: plugin.Config{Shards: 1}}}
	from.fill(t, 60)
	to := keptIn{Settings: engines.Settings{Storage: "dynfile", Dir: from.Dir + "2"}}
	args := []string{"migrate", "--json", "--from", from.Dir, "--to", to.place(), "--shards", "1"}
	r := run(t, nil, append(args, "--dry-run")...)
	require.Equal(t, 0, r.code, r.stderr)
	require.Equal(t, true, object(t, r.stdout)["dry_run"])
	require.NoDirExists(t, to.Dir)
	r = run(t, nil, args...)
	require.Equal(t, 0, r.code, r.stderr)
	r = run(t, nil, args...)
	require.Equal(t, 2, r.code, r.stdout)
	require.Contains(t, lastLine(r), "has records already")
	from.with(t, func(_ store.Store, m *session.Manager) {
		n, err := m.RevokeAll(t.Context(), "user 3")
		require.NoError(t, err)
		require.Positive(t, n)
	})
	want, records := from.content(t)
	r = run(t, nil, append(args, "--update")...)
	require.Equal(t, 0, r.code, "%s%s", r.stdout, r.stderr)
	require.Equal(t, float64(records), object(t, r.stdout)["verified"])
	require.Less(t, object(t, r.stdout)["written"], float64(5), r.stdout)
	found, arrived := to.content(t)
	require.Equal(t, want, found)
	require.Equal(t, records, arrived)
}

// TestMigrateSurvivesKills: a move that is killed again and again goes on, and the result
// is that of one that was not.
func TestMigrateSurvivesKills(t *testing.T) {
	if testing.Short() || runtime.GOOS == "windows" {
		t.Skip("takes a while")
	}
	dir := t.TempDir()
	from := keptIn{Settings: engines.Settings{Storage: "dynfile", Dir: filepath.Join(dir, "from")}, secret: oldSecret}
	ended := from.fill(t, 10_000)
	to := keptIn{Settings: engines.Settings{Storage: "dynfile", Dir: filepath.Join(dir, "to")}, secret: newSecret}
	journal := to.Dir + ".migration"
	variables := []string{"WADDLE_SECRET_FILE=" + secretFile(t, oldSecret)}
	args := []string{"migrate", "--from", from.place(), "--to", to.place(), "--new-secret-file", secretFile(t, newSecret), "--json"}
	written := int64(0)
	for range 3 {
		cmd := command(t, variables, args...)
		require.NoError(t, cmd.Start())
		require.Eventually(t, func() bool { return sizeOf(to.Dir) > written+256<<10 }, patience, time.Millisecond, "it writes something more")
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait()
		require.FileExists(t, journal)
		written = sizeOf(to.Dir)
	}
	// Meanwhile somebody has logged out at the source, and somebody has come.
	var gone string
	from.with(t, func(_ store.Store, m *session.Manager) {
		for info, err := range m.AllSessions(t.Context()) {
			require.NoError(t, err)
			if gone = info.Handle; info.User == "" {
				break
			}
		}
		ok, err := m.RevokeHandle(t.Context(), gone)
		require.NoError(t, err)
		require.True(t, ok)
		s := m.Session(t.Context(), "")
		require.NoError(t, s.Set("n", "late"))
		require.NoError(t, s.Save())
	})
	want, records := from.content(t)
	require.NotContains(t, want, gone)

	r := run(t, variables, "migrate", "--from", from.place(), "--to", to.place())
	require.Equal(t, 1, r.code)
	require.Contains(t, lastLine(r), "the journal belongs to another migration")

	r = run(t, variables, args...)
	require.Equal(t, 0, r.code, "%s%s", r.stdout, r.stderr)
	require.Contains(t, r.stderr, "going on with the migration that was begun at")
	said := object(t, r.stdout)
	require.Equal(t, float64(records), said["verified"], r.stdout)
	require.Greater(t, said["kept"], float64(500), "what was there was not written again: %s", r.stdout)
	require.NoFileExists(t, journal)
	found, arrived := to.content(t)
	require.Equal(t, records, arrived)
	require.Equal(t, slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(found)))
	for handle := range want {
		require.Equal(t, want[handle], found[handle])
	}
	to.with(t, func(_ store.Store, m *session.Manager) {
		for _, id := range ended {
			exists, err := m.Session(t.Context(), id).Exists()
			require.NoError(t, err)
			require.False(t, exists)
		}
	})
}

// sizeOf returns how much the segments in a directory of dynfile have.
func sizeOf(dir string) (size int64) {
	segments, _ := filepath.Glob(filepath.Join(dir, "shard-*", "*.segment"))
	for _, name := range segments {
		if info, err := os.Stat(name); err == nil {
			size += info.Size()
		}
	}
	return size
}

// TestMigrateToAFullDisk: a move for which there is no room says so, and goes on when
// there is.
func TestMigrateToAFullDisk(t *testing.T) {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		t.Skip("SKIPPED: making a small disk needs Linux and root")
	}
	small := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: a small disk cannot be mounted here: %s", out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", "-l", small).Run() })
	from := keptIn{Settings: engines.Settings{Storage: "dynfile", Dir: filepath.Join(t.TempDir(), "from")}}
	from.fill(t, 2500)
	want, _ := from.content(t)
	to := keptIn{Settings: engines.Settings{Storage: "dynfile", Dir: filepath.Join(small, "to"), Config: plugin.Config{Shards: 1}}}
	args := []string{"migrate", "--from", from.place(), "--to", to.place(), "--shards", "1"}
	r := run(t, nil, args...)
	require.Equal(t, 1, r.code, "%s%s", r.stdout, r.stderr)
	require.Contains(t, lastLine(r), "No space left")
	require.Contains(t, lastLine(r), "nothing was changed at the source: run the same command again to go on")
	still, _ := from.content(t)
	require.Equal(t, len(want), len(still))

	require.NoError(t, exec.Command("mount", "-o", "remount,size=64m", small).Run())
	r = run(t, nil, args...)
	require.Equal(t, 0, r.code, "%s%s", r.stdout, r.stderr)
	require.Regexp(t, `^[0-9,]+ records moved and compared;\n  [0-9,]+ were there already\n$`, r.stdout)
	found, _ := to.content(t)
	require.Equal(t, want, found)
}

// TestMigrateRefusesByName: what cannot be converted is named, and everything else is
// moved.
func TestMigrateRefusesByName(t *testing.T) {
	dir := t.TempDir()
	from := keptIn{Settings: engines.Settings{Storage: "memory", Dir: filepath.Join(dir, "from")}}
	from.fill(t, 5)
	var handle string
	from.with(t, func(_ store.Store, m *session.Manager) {
		s := m.Session(t.Context(), "")
		require.NoError(t, s.Set("key", []byte{0xff}))
		require.NoError(t, s.Save())
		for info, err := range m.AllSessions(t.Context()) {
			require.NoError(t, err)
			if d, err := m.SessionByHandle(t.Context(), info.Handle); err == nil && len(d.Values["key"]) > 0 {
				handle = info.Handle
			}
		}
	})
	_, records := from.content(t)
	to := filepath.Join(dir, "to")
	args := []string{"migrate", "--from", from.Dir, "--to", "dynfile:" + to, "--codec", "json"}
	for _, dry := range []string{"--dry-run", "--dry-run=false"} {
		r := run(t, nil, append(args, dry)...)
		require.Equal(t, 1, r.code, r.stdout)
		require.Contains(t, r.stdout, handle+`: session: the record cannot be converted: value "key": bytes, which JSON does not have; --as-text makes them text`)
		require.Contains(t, lastLine(r), fmt.Sprintf("records cannot be converted: 1 of %d", records))
		require.Contains(t, lastLine(r), "--skip-unreadable")
	}
	r := run(t, nil, append(args, "--skip-unreadable")...)
	require.Equal(t, 0, r.code, r.stderr)
	require.Contains(t, r.stdout, "1 were left out")
	_, arrived := keptIn{Settings: engines.Settings{Storage: "dynfile", Dir: to}, codec: session.JSON}.content(t)
	require.Equal(t, records-1, arrived)

	r = run(t, nil, "migrate", "--from", from.Dir, "--to", "dynfile:"+to+"2", "--codec", "json", "--as-text")
	require.Equal(t, 0, r.code, r.stderr)
	found, _ := keptIn{Settings: engines.Settings{Storage: "dynfile", Dir: to + "2"}, codec: session.JSON}.content(t)
	require.Equal(t, `"/w=="`, string(found[handle].Values["key"]))
}
