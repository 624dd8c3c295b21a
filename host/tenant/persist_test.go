package tenant_test

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/tenant"
)

// Each of these keeps its sessions when the host is closed and made again.
func persistent() map[string]tenant.Manifest {
	all := make(map[string]tenant.Manifest)
	for _, engine := range []string{"memory", "keyfolder", "dynfile"} {
		m := bundled("alice", engine)
		m.Persist = true
		all[engine] = m
	}
	return all
}

func TestPersist(t *testing.T) {
	for name, m := range persistent() {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			jar, _ := cookiejar.New(nil)
			visit := func(h *tenant.Host, want string) {
				t.Helper()
				v := &visitor{serve(t, h, nil, counter()), &http.Client{Jar: jar, Timeout: time.Minute}}
				v.ok(t, "alice.localhost", "/", want)
			}
			h, _ := newHost(t, tenant.HostConfig{Dir: dir})
			deploy(t, h, m)
			visit(h, "alice 1")
			require.NoError(t, h.Close(ctx))

			h, _ = newHost(t, tenant.HostConfig{Dir: dir})
			deploy(t, h, m)
			visit(h, "alice 2")
			// A replacement goes on in a room of its own or in the same, and the next
			// process finds it.
			for i := range 3 {
				m.Limits.Fuel = plugin.DefaultFuel - int64(i) - 1
				deploy(t, h, m)
				visit(h, fmt.Sprintf("alice %d", 3+i))
			}
			require.NoError(t, h.Close(ctx))
			require.Len(t, rooms(t, dir), 1, "what is not in force is gone")

			h, _ = newHost(t, tenant.HostConfig{Dir: dir})
			deploy(t, h, m)
			visit(h, "alice 6")
			// Removing keeps the state, and purging does not.
			require.NoError(t, h.Remove(ctx, "alice"))
			deploy(t, h, m)
			visit(h, "alice 7")
			require.NoError(t, h.Purge(ctx, "alice"))
			require.NoDirExists(t, filepath.Join(dir, "state", "alice"))
			deploy(t, h, m)
			visit(h, "alice 1")
			require.NoError(t, h.Remove(ctx, "alice"))
			require.NoError(t, h.Purge(ctx, "alice"), "what a removed tenant has left can still be purged")
			require.ErrorIs(t, h.Purge(ctx, "alice"), tenant.ErrUnknown)
		})
	}
}

func rooms(t *testing.T, dir string) (all []string) {
	entries, err := os.ReadDir(filepath.Join(dir, "state", "alice"))
	require.NoError(t, err)
	for _, e := range entries {
		if e.IsDir() {
			all = append(all, e.Name())
		}
	}
	return all
}

// A guest that keeps files hands its directory over; if the new one cannot use it, the old
// one goes on with all sessions.
func TestHandOverRollsBack(t *testing.T) {
	h, told := newHost(t, tenant.HostConfig{Dir: t.TempDir()})
	web := serve(t, h, nil, counter())
	m := bundled("alice", "keyfolder")
	m.Mounts = []tenant.Mount{{Dir: "files"}}
	made := deploy(t, h, m)
	v := web.visitor()
	v.ok(t, "alice.localhost", "/", "alice 1")
	told.kinds("alice")
	bad := m
	bad.Plugin.Bundled = "dynfile" // of which the directory is not
	for i := range 3 {
		_, err := h.Deploy(ctx, bad)
		var failed *tenant.DeployError
		require.ErrorAs(t, err, &failed)
		require.True(t, failed.Serving)
		require.Equal(t, []tenant.EventKind{tenant.EventRolledBack}, told.kinds("alice"))
		v.ok(t, "alice.localhost", "/", fmt.Sprintf("alice %d", 2+i))
	}
	m.Limits.Fuel = plugin.DefaultFuel - 1
	deploy(t, h, m)
	v.ok(t, "alice.localhost", "/", "alice 5")
	require.Equal(t, uint64(1), made.Stats().Replacements)
	require.Equal(t, 1, h.Stats().Plugins.Plugins)
}

// A crash in the middle of a replacement leaves the one room or the other whole, and what
// it has left over is cleared away.
func TestLeftoversOfACrash(t *testing.T) {
	dir := t.TempDir()
	h, _ := newHost(t, tenant.HostConfig{Dir: dir})
	m := named("alice")
	m.Persist = true
	deploy(t, h, m)
	require.NoError(t, h.Close(ctx))
	base := filepath.Join(dir, "state", "alice")
	require.NoError(t, os.MkdirAll(filepath.Join(base, "7"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(base, "7", "sessions.snapshot"), []byte("waddle snaps"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(base, "current.new"), []byte("7"), 0o600))
	h, _ = newHost(t, tenant.HostConfig{Dir: dir})
	deploy(t, h, m)
	require.Equal(t, []string{"1"}, rooms(t, dir))
	m.Limits.Fuel = plugin.DefaultFuel - 1
	deploy(t, h, m)
	require.Equal(t, []string{"2"}, rooms(t, dir))
	require.NoError(t, h.Close(ctx))

	require.NoError(t, os.WriteFile(filepath.Join(base, "current"), []byte("../bob"), 0o600))
	h, _ = newHost(t, tenant.HostConfig{Dir: dir})
	_, err := h.Deploy(ctx, m)
	require.ErrorIs(t, err, tenant.ErrState)
	require.ErrorContains(t, err, "../bob")
	require.DirExists(t, filepath.Join(base, "2"), "nothing is lost")
}

// A state that cannot be written is refused while the old plugin serves.
func TestStateCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	h, _ := newHost(t, tenant.HostConfig{Dir: dir})
	web := serve(t, h, nil, counter())
	m := named("alice")
	deploy(t, h, m)
	v := web.visitor()
	v.ok(t, "alice.localhost", "/", "alice 1")
	// A file lies where the directory must be.
	require.NoError(t, os.WriteFile(filepath.Join(dir, "state"), nil, 0o600))
	m.Persist = true
	_, err := h.Deploy(ctx, m)
	require.Error(t, err)
	v.ok(t, "alice.localhost", "/", "alice 2")
	require.NoError(t, os.Remove(filepath.Join(dir, "state")))
	deploy(t, h, m)
	v.ok(t, "alice.localhost", "/", "alice 3")
	// And it goes without again.
	m.Persist = false
	deploy(t, h, m)
	v.ok(t, "alice.localhost", "/", "alice 4")
	require.Empty(t, rooms(t, dir))
}

// childVariable turns a process of the test binary into a server that can be killed.
const childVariable = "WADDLE_TENANT_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childVariable); dir != "" {
		if err := child(dir); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child serves tenants with state until a signal comes, or replaces them all the time.
func child(dir string) error {
	h, err := tenant.NewHost(tenant.HostConfig{Dir: dir, Logger: discard}.Tuned(func(c *plugin.Config) { c.SaveInterval = 20 * time.Millisecond }))
	if err != nil {
		return err
	}
	for engine, m := range persistent() {
		m.Name, m.Hosts = engine, []string{engine + ".localhost"}
		if _, err := h.Deploy(ctx, m); err != nil {
			return err
		}
	}
	server := httptest.NewServer(h.Handler(nil, counter()))
	fmt.Println(server.URL)
	for line := bufio.NewScanner(os.Stdin); line.Scan(); {
		if line.Text() == "close" {
			server.Close()
			return h.Close(ctx)
		}
		go func() {
			for i := int64(1); ; i++ {
				for engine, m := range persistent() {
					m.Name, m.Hosts, m.Limits.Fuel = engine, []string{engine + ".localhost"}, plugin.DefaultFuel-i
					if _, err := h.Deploy(ctx, m); err != nil {
						fmt.Println("error", err)
					}
				}
			}
		}()
	}
	return nil
}

// State is there after the process has ended, in whichever way: within what the interval of
// saving allows after a kill, also in the middle of a replacement.
func TestProcessEnds(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	dir := t.TempDir()
	jars := make(map[string]http.CookieJar)
	counts := make(map[string]int)
	for engine := range persistent() {
		jars[engine], _ = cookiejar.New(nil)
	}
	for round := range 8 {
		process := exec.Command(os.Args[0])
		process.Env = append(os.Environ(), childVariable+"="+dir)
		stdin, err := process.StdinPipe()
		require.NoError(t, err)
		stdout, err := process.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, process.Start())
		lines := bufio.NewScanner(stdout)
		require.True(t, lines.Scan())
		require.True(t, strings.HasPrefix(lines.Text(), "http://"), lines.Text())
		web := site{&httptest.Server{URL: lines.Text()}}
		for engine := range persistent() {
			v := &visitor{web, &http.Client{Jar: jars[engine], Timeout: time.Minute}}
			for range 3 {
				counts[engine]++
				v.ok(t, engine+".localhost", "/", fmt.Sprintf("%s %d", engine, counts[engine]))
			}
		}
		if round%2 == 0 {
			fmt.Fprintln(stdin, "close")
			require.NoError(t, process.Wait())
			continue
		}
		// What was written is saved within the interval; the replacements that begin
		// then are under way when the process is killed.
		time.Sleep(500 * time.Millisecond)
		fmt.Fprintln(stdin, "replace")
		time.Sleep(time.Duration(round*40) * time.Millisecond)
		require.NoError(t, process.Process.Signal(syscall.SIGKILL))
		_ = process.Wait()
	}
}

// If neither the new plugin nor the old one opens any more, requests get 503 until one does:
// by itself, or by the next deploy.
func TestDown(t *testing.T) {
	var broken atomic.Bool
	h, told := newHost(t, tenant.HostConfig{Dir: t.TempDir()}.Tuned(func(c *plugin.Config) {
		if broken.Load() {
			c.Deadline = -1
		}
	}))
	web := serve(t, h, nil, counter())
	m := bundled("alice", "keyfolder")
	m.Persist = true
	made := deploy(t, h, m)
	v := web.visitor()
	v.ok(t, "alice.localhost", "/", "alice 1")
	for i, again := range []func(){
		func() {
			require.Eventually(t, func() bool { return made.Stats().State != tenant.StateDown }, minute, tick)
		},
		func() { deploy(t, h, m) },
	} {
		broken.Store(true)
		told.forget()
		other := m
		other.Limits.Fuel = plugin.DefaultFuel - 1
		_, err := h.Deploy(ctx, other)
		var failed *tenant.DeployError
		require.ErrorAs(t, err, &failed)
		require.False(t, failed.Serving)
		require.Contains(t, told.kinds("alice"), tenant.EventDown)
		status, _, _, err := v.get("alice.localhost", "/")
		require.NoError(t, err)
		require.Equal(t, http.StatusServiceUnavailable, status)
		require.Equal(t, tenant.StateDown, made.Stats().State)
		require.Contains(t, made.Stats().Reason, "Deadline")
		require.Equal(t, 1, h.Stats().States[tenant.StateDown])
		broken.Store(false)
		again()
		require.Contains(t, told.kinds("alice"), tenant.EventUp)
		v.ok(t, "alice.localhost", "/", fmt.Sprintf("alice %d", i+2))
	}
	// One that is down is removed like any other.
	broken.Store(true)
	m.Limits.Fuel = plugin.DefaultFuel - 2
	_, err := h.Deploy(ctx, m)
	require.Error(t, err)
	require.NoError(t, h.Remove(ctx, "alice"))
	require.Eventually(t, func() bool { return h.Stats().Modules == 0 }, minute, tick)
	require.Zero(t, h.Stats().Plugins.Plugins)
}
