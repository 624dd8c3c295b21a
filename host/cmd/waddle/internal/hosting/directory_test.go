package hosting

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/tenant"
)

// recorder is a Deployer that records what is asked of it, and fails on request. A fake,
// since what counts here is when it is called, with what.
type recorder struct {
	mu      sync.Mutex
	log     []string
	tenants map[string]tenant.Manifest
	fail    map[string]error           // by tenant
	hold    map[string]<-chan struct{} // deploys that take their time
	most    int                        // deploys at once
	now     int
}

func newRecorder() *recorder {
	return &recorder{tenants: make(map[string]tenant.Manifest), fail: make(map[string]error), hold: make(map[string]<-chan struct{})}
}

func (r *recorder) Deploy(ctx context.Context, m tenant.Manifest) (*tenant.Tenant, error) {
	r.mu.Lock()
	r.now++
	r.most = max(r.most, r.now)
	hold, err := r.hold[m.Name], r.fail[m.Name]
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.now--
		r.mu.Unlock()
	}()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.log = append(r.log, "fail "+m.Name)
		return nil, err
	}
	for _, host := range m.Hosts {
		for name, other := range r.tenants {
			if name != m.Name && slices.Contains(other.Hosts, host) {
				return nil, fmt.Errorf("%w: %s", tenant.ErrHostName, host)
			}
		}
	}
	r.log = append(r.log, "deploy "+m.Name)
	r.tenants[m.Name] = m
	return nil, nil
}

func (r *recorder) Remove(_ context.Context, name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log = append(r.log, "remove "+name)
	delete(r.tenants, name)
	return nil
}

func (r *recorder) set(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
}

// take returns what was done since the last call, in order of names.
func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	log := slices.Sorted(slices.Values(r.log))
	r.log = nil
	return log
}

func (r *recorder) names() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.tenants))
}

// yard is a directory of manifests with a clock of its own.
type yard struct {
	*testing.T
	*Directory
	to  *recorder
	log *strings.Builder
	at  time.Time
}

func newYard(t *testing.T) *yard {
	y := &yard{T: t, to: newRecorder(), log: new(strings.Builder), at: time.Now()}
	y.Directory = NewDirectory(t.TempDir(), y.to, slog.New(slog.NewTextHandler(&lockedWriter{w: y.log}, nil)))
	y.Directory.now = func() time.Time { return y.at }
	return y
}

type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// scan looks once, and waits for what that has begun.
func (y *yard) scan() {
	y.Helper()
	y.at = y.at.Add(time.Second)
	y.Scan(context.Background())
	y.running.Wait()
}

func (y *yard) write(name, content string) {
	y.Helper()
	require.NoError(y, os.WriteFile(filepath.Join(y.path, name), []byte(content), 0o644))
}

func (y *yard) remove(name string) {
	y.Helper()
	require.NoError(y, os.Remove(filepath.Join(y.path, name)))
}

// problemOf returns what is wrong with a file, "" for nothing.
func (y *yard) problemOf(file string) string {
	for _, p := range y.Problems() {
		if p.File == file {
			return p.Error
		}
	}
	return ""
}

// manifest is the least manifest of a tenant.
func manifest(name string, hosts ...string) string {
	return fmt.Sprintf(`{"name": %q, "hosts": [%s], "plugin": {"bundled": "memory"}}`, name, quoted(hosts))
}

func quoted(list []string) string {
	var all []string
	for _, s := range list {
		all = append(all, fmt.Sprintf("%q", s))
	}
	return strings.Join(all, ", ")
}

func TestDirectoryFollowsFiles(t *testing.T) {
	y := newYard(t)
	y.write("a.json", manifest("alice", "a.localhost"))
	y.write("b.json", manifest("bob"))
	y.write("notes.txt", "not a manifest")
	y.write(".hidden.json", "{")
	require.NoError(t, os.MkdirAll(filepath.Join(y.path, "state.json"), 0o755))
	y.scan()
	require.Equal(t, []string{"deploy alice", "deploy bob"}, y.to.take())
	y.scan()
	require.Empty(t, y.to.take(), "nothing has changed")

	y.write("a.json", manifest("alice", "other.localhost"))
	y.scan()
	require.Equal(t, []string{"deploy alice"}, y.to.take())
	require.Equal(t, []string{"other.localhost"}, y.to.tenants["alice"].Hosts)

	y.remove("b.json")
	y.scan()
	require.Empty(t, y.to.take(), "a program that writes it anew may have removed it")
	y.scan()
	require.Equal(t, []string{"remove bob"}, y.to.take())
	require.Empty(t, y.Problems())
	require.Empty(t, y.log.String())
}

// TestDirectoryReadsWhatHasChanged: a change that keeps size and time is seen, too, as
// long as it can have happened after the last look.
func TestDirectoryReadsWhatHasChanged(t *testing.T) {
	y := newYard(t)
	y.write("a.json", manifest("alice", "a.localhost"))
	path := filepath.Join(y.path, "a.json")
	info, err := os.Stat(path)
	require.NoError(t, err)
	y.scan()
	y.write("a.json", manifest("alice", "b.localhost"))
	require.NoError(t, os.Chtimes(path, info.ModTime(), info.ModTime()))
	y.scan()
	require.Equal(t, []string{"b.localhost"}, y.to.tenants["alice"].Hosts)
	y.to.take()

	// A new time alone is no change.
	require.NoError(t, os.Chtimes(path, y.at, y.at))
	y.scan()
	require.Empty(t, y.to.take())

	// Later, files are not read again: a thousand need not be, every second.
	y.at = y.at.Add(time.Minute)
	y.scan()
	require.True(t, y.files["a.json"].seen.sure)
}

// TestDirectoryKeepsATenant: a file that cannot be read or deployed changes nothing, says
// so once, and counts again when it is mended.
func TestDirectoryKeepsATenant(t *testing.T) {
	good := manifest("alice", "a.localhost")
	fifo := func(y *yard, path string) {
		if err := mkfifo(path); errors.Is(err, errors.ErrUnsupported) {
			y.Skip("there are no named pipes here")
		} else {
			require.NoError(y, err)
		}
	}
	for name, c := range map[string]struct {
		spoil func(y *yard, path string)
		want  string
	}{
		"half written": {func(y *yard, path string) { y.write("a.json", good[:len(good)/2]) }, "not JSON"},
		"empty":        {func(y *yard, path string) { y.write("a.json", "") }, "not JSON"},
		"a directory":  {func(y *yard, path string) { y.remove("a.json"); require.NoError(y, os.Symlink(y.TempDir(), path)) }, "a directory"},
		"a pipe":       {func(y *yard, path string) { y.remove("a.json"); fifo(y, path) }, "a named pipe"},
		"a link to one": {func(y *yard, path string) {
			y.remove("a.json")
			fifo(y, path+".x")
			require.NoError(y, os.Symlink(path+".x", path))
		}, "a named pipe"},
		"a device":      {func(y *yard, path string) { y.remove("a.json"); require.NoError(y, os.Symlink("/dev/zero", path)) }, "a device"},
		"100 megabytes": {func(y *yard, path string) { require.NoError(y, os.Truncate(path, 100<<20)) }, "too large"},
		"a link to it":  {func(y *yard, path string) { y.remove("a.json"); require.NoError(y, os.Symlink("a.json", path)) }, "too many levels"},
		"cannot be run": {func(y *yard, path string) {
			y.write("a.json", `{"name": "alice", "plugin": {"file": "no.wasm", "sha256": "`+strings.Repeat("0", 64)+`"}}`)
			y.to.fail["alice"] = errors.New("no such plugin")
		}, "no such plugin"},
		"somebody else's": {func(y *yard, path string) {
			y.write("0.json", manifest("bob", "b.localhost"))
			y.scan()
			y.to.take()
			y.write("a.json", manifest("alice", "b.localhost"))
		}, "first"},
	} {
		t.Run(name, func(t *testing.T) {
			y := newYard(t)
			y.write("a.json", good)
			y.scan()
			y.to.take()
			path := filepath.Join(y.path, "a.json")
			c.spoil(y, path)
			for range 3 {
				y.scan()
			}
			require.NotContains(t, y.to.take(), "remove alice")
			require.Contains(t, y.to.names(), "alice")
			require.Contains(t, y.problemOf("a.json"), c.want)
			require.Equal(t, 1, strings.Count(y.log.String(), "tenant alice goes on as before"), y.log.String())

			y.to.set(func() { clear(y.to.fail) })
			require.NoError(t, os.Remove(path))
			y.write("a.json", good)
			y.at = y.at.Add(retryMost)
			y.scan()
			require.Empty(t, y.problemOf("a.json"))
			require.Contains(t, y.to.names(), "alice")
		})
	}
}

// TestDirectoryThatCannotBeRead: nothing is removed for a directory that is away.
func TestDirectoryThatCannotBeRead(t *testing.T) {
	y := newYard(t)
	y.write("a.json", manifest("alice"))
	y.scan()
	away := y.path + "-away"
	require.NoError(t, os.Rename(y.path, away))
	for range 3 {
		y.scan()
	}
	require.Equal(t, []string{"alice"}, y.to.names())
	require.Len(t, y.Problems(), 1)
	require.NoError(t, os.Rename(away, y.path))
	y.scan()
	require.Empty(t, y.Problems())
	require.Equal(t, []string{"deploy alice"}, y.to.take())
}

// TestDirectoryFirstComesFirst: of two files with one tenant or one host, the first keeps
// it until it is gone.
func TestDirectoryFirstComesFirst(t *testing.T) {
	for name, second := range map[string]string{"one name": manifest("alice", "b.localhost"), "one host": manifest("bob", "a.localhost")} {
		t.Run(name, func(t *testing.T) {
			y := newYard(t)
			y.write("b.json", manifest("alice", "a.localhost"))
			y.scan()
			y.write("a.json", second)
			y.scan()
			require.Equal(t, []string{"deploy alice"}, y.to.take())
			require.Contains(t, y.problemOf("a.json"), "b.json")
			require.Empty(t, y.problemOf("b.json"))
			y.remove("b.json")
			for range 3 {
				y.scan()
			}
			y.at = y.at.Add(retryMost)
			y.scan()
			require.Empty(t, y.Problems())
			require.Len(t, y.to.names(), 1)
			require.Equal(t, y.files["a.json"].serves, y.to.names()[0])
		})
	}
}

// TestDirectoryRenames: a file that gets another name is not a removal, since a tenant in
// memory would lose its sessions. A tenant that gets another name is one.
func TestDirectoryRenames(t *testing.T) {
	y := newYard(t)
	y.write("b.json", manifest("alice", "a.localhost"))
	y.scan()
	y.to.take()
	for _, to := range []string{"c.json", "a.json"} {
		from := slices.Collect(maps.Keys(y.files))[0]
		require.NoError(t, os.Rename(filepath.Join(y.path, from), filepath.Join(y.path, to)))
		for range 4 {
			y.scan()
		}
		require.Equal(t, []string{"deploy alice"}, y.to.take(), "which changes nothing")
		require.Len(t, y.files, 1)
	}
	y.write("a.json", manifest("bob", "a.localhost"))
	y.scan()
	require.Equal(t, []string{"deploy bob", "remove alice"}, y.to.take())
	y.remove("a.json")
	y.scan()
	y.scan()
	require.Equal(t, []string{"remove bob"}, y.to.take())
	require.Empty(t, y.files)
	require.Empty(t, y.names)
	require.Empty(t, y.hosts)
}

// TestDirectoryTriesAgain: what a deploy lacked may come, so it is tried again, less and
// less often, and logged once.
func TestDirectoryTriesAgain(t *testing.T) {
	y := newYard(t)
	y.to.fail["alice"] = errors.New("no such plugin")
	y.write("a.json", manifest("alice", "a.localhost"))
	for range 300 {
		y.scan()
	}
	tries := len(y.to.take())
	require.Greater(t, tries, 5)
	require.Less(t, tries, 20)
	require.Equal(t, 1, strings.Count(y.log.String(), "no such plugin"))
	require.True(t, y.Pending("a.localhost"))
	require.False(t, y.Pending("b.localhost"))
	clear(y.to.fail)
	y.forgetPauses()
	y.scan()
	require.Equal(t, []string{"deploy alice"}, y.to.take())
	require.False(t, y.Pending("a.localhost"))
}

// TestDirectoryDeploysSideBySide: who compiles slowly delays nobody, and a change that
// comes meanwhile follows.
func TestDirectoryDeploysSideBySide(t *testing.T) {
	y := newYard(t)
	proceed := make(chan struct{})
	y.to.hold["slow"] = proceed
	y.write("0.json", manifest("slow"))
	for i := range 1000 {
		y.write(fmt.Sprintf("t%d.json", i), manifest(fmt.Sprintf("t%d", i)))
	}
	y.Scan(context.Background())
	require.Eventually(t, func() bool { return len(y.to.names()) == 1000 }, time.Minute, time.Millisecond)
	require.LessOrEqual(t, y.to.most, deploying)
	y.to.take()
	y.write("0.json", manifest("slow", "new.localhost"))
	y.Scan(context.Background())
	close(proceed)
	y.running.Wait()
	require.Equal(t, []string{"deploy slow", "deploy slow"}, y.to.take())
	require.Equal(t, []string{"new.localhost"}, y.to.tenants["slow"].Hosts)
}

func TestDirectoryWatch(t *testing.T) {
	y := newYard(t)
	ctx, stop := context.WithCancel(context.Background())
	y.Directory.now = time.Now
	look, ended := make(chan os.Signal), make(chan struct{})
	y.to.hold["stuck"] = make(chan struct{})
	y.write("b.json", manifest("stuck"))
	go func() {
		defer close(ended)
		y.Watch(ctx, time.Hour, look)
	}()
	require.Eventually(t, func() bool { y.mu.Lock(); defer y.mu.Unlock(); return y.scanned }, time.Minute, time.Millisecond)
	y.write("a.json", manifest("alice"))
	look <- os.Interrupt
	require.Eventually(t, func() bool { return slices.Contains(y.to.names(), "alice") }, time.Minute, time.Millisecond)
	stop()
	<-ended
	require.NotContains(t, y.log.String(), "stuck", "the end of the program is no failure of a tenant")
}
