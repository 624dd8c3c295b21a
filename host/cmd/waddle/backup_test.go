package main_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// visitor increments a counter in a session again and again.
type visitor struct {
	client  http.Client
	asked   atomic.Int64 // increments that were sent
	counted atomic.Int64 // the last one that was answered
}

func newVisitor(t *testing.T) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &visitor{client: http.Client{Jar: jar, Timeout: patience}}
}

func (v *visitor) post(address, path string) (string, error) {
	r, err := v.client.Post(address+path, "", nil)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != http.StatusOK && r.StatusCode != http.StatusNoContent {
		err = fmt.Errorf("%s: %s", r.Status, b)
	}
	return string(b), err
}

func (v *visitor) increment(address string) error {
	v.asked.Add(1)
	b, err := v.post(address, "/api/session/n/increment")
	if err != nil {
		return err
	}
	var answer struct{ Value int64 }
	if err := json.Unmarshal([]byte(b), &answer); err != nil {
		return err
	}
	v.counted.Store(answer.Value)
	return nil
}

// at returns the counter that a server has for the visitor's cookie of another address, 0 if none.
func (v *visitor) at(t *testing.T, cookies []*http.Cookie, address string) (n int64) {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, address+"/api/session", nil)
	require.NoError(t, err)
	for _, c := range cookies {
		request.AddCookie(c)
	}
	r, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	_, after, ok := strings.Cut(string(b), `"n":`)
	if !ok {
		return 0
	}
	_, err = fmt.Sscanf(after, "%d", &n)
	require.NoError(t, err, "%s", b)
	return n
}

func (v *visitor) cookies(t *testing.T, address string) []*http.Cookie {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	return v.client.Jar.Cookies(u)
}

// TestBackupWhileItIsServed: while visitors write, backups are taken and restored. Each has
// what was stored when it began, or something newer; nobody is in it who had logged out
// before. It does not matter if the server is killed meanwhile.
func TestBackupWhileItIsServed(t *testing.T) {
	needsSignals(t)
	for _, storage := range []string{"dynfile", "keyfolder"} {
		t.Run(storage, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "sessions")
			settings := []string{"SESSION_STORAGE=" + storage, "SESSION_DIR=" + dir}
			server := serve(t, settings, "--addr", "127.0.0.1:0")
			addr := strings.TrimPrefix(server.address, "http://")

			const writers, quitters = 6, 4
			var busy, gone []*visitor
			for range writers {
				v := newVisitor(t)
				require.NoError(t, v.increment(server.address))
				busy = append(busy, v)
			}
			ended := make([][]*http.Cookie, 0, quitters)
			for range quitters {
				v := newVisitor(t)
				require.NoError(t, v.increment(server.address))
				ended = append(ended, v.cookies(t, server.address))
				_, err := v.post(server.address, "/api/logout")
				require.NoError(t, err)
				gone = append(gone, v)
			}
			stop := make(chan struct{})
			var working sync.WaitGroup
			defer working.Wait()
			defer close(stop)
			for _, v := range busy {
				working.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
							_ = v.increment(server.address) // the server may be down for a while
						}
					}
				})
			}
			for round := range 3 {
				before := make([]int64, len(busy))
				for i, v := range busy {
					before[i] = v.counted.Load()
				}
				file := filepath.Join(t.TempDir(), "backup")
				killed := make(chan struct{})
				go func() {
					defer close(killed)
					if round == 1 {
						_ = server.cmd.Process.Kill()
						_ = server.cmd.Wait()
					}
				}()
				r := run(t, nil, "backup", dir, file, "--json")
				require.Zero(t, r.code, "%s%s", r.stdout, r.stderr)
				after := make([]int64, len(busy))
				for i, v := range busy {
					after[i] = v.asked.Load()
				}
				r = run(t, nil, "check", dir)
				require.Zero(t, r.code, "%s%s", r.stdout, r.stderr)
				<-killed
				if round == 1 {
					again := serve(t, settings, "--addr", addr)
					server.cmd = again.cmd
				} else {
					require.Contains(t, r.stdout, "in use by process")
				}

				restored := filepath.Join(t.TempDir(), "restored")
				r = run(t, nil, "restore", file, restored)
				require.Zero(t, r.code, "%s%s", r.stdout, r.stderr)
				require.Contains(t, r.stderr, "are back")
				second := serve(t, []string{"SESSION_STORAGE=" + storage, "SESSION_DIR=" + restored}, "--addr", "127.0.0.1:0")
				for i, v := range busy {
					n := v.at(t, v.cookies(t, server.address), second.address)
					require.GreaterOrEqual(t, n, before[i], "round %d: what had been stored is missing", round)
					require.LessOrEqual(t, n, after[i], "round %d", round)
				}
				for i, v := range gone {
					require.Zero(t, v.at(t, ended[i], second.address), "round %d: somebody who had logged out is back", round)
				}
				second.stop(t, syscall.SIGTERM)
			}
		})
	}
}

// TestKilledBackupsAndRestores: whenever they are killed, there is no backup, or a whole one; and
// no directory that an engine opens, or all of it.
func TestKilledBackupsAndRestores(t *testing.T) {
	needsSignals(t)
	dir := filepath.Join(t.TempDir(), "sessions")
	server := serve(t, []string{"SESSION_STORAGE=dynfile", "SESSION_DIR=" + dir}, "--addr", "127.0.0.1:0")
	for range 200 {
		v := newVisitor(t)
		require.NoError(t, v.increment(server.address))
	}
	server.stop(t, syscall.SIGTERM)
	whole := filepath.Join(t.TempDir(), "whole")
	began := time.Now()
	r := run(t, nil, "backup", dir, whole, "--json")
	require.Zero(t, r.code, r.stderr)
	took := time.Since(began)
	began = time.Now()
	r = run(t, nil, "restore", whole, filepath.Join(t.TempDir(), "first"))
	require.Zero(t, r.code, r.stderr)
	tookRestore := time.Since(began)

	const kills = 8
	for i := range kills {
		file := filepath.Join(t.TempDir(), "backup")
		killAfter(t, took*time.Duration(i)/kills, "backup", dir, file)
		if _, err := os.Stat(file); err == nil {
			r := run(t, nil, "backup", "--verify", file)
			require.Zero(t, r.code, r.stderr)
		}
		to := filepath.Join(t.TempDir(), "to")
		killAfter(t, tookRestore*time.Duration(i+1)/kills, "restore", whole, to)
		if r := run(t, nil, "check", to, "--json"); r.code == 0 {
			requireRecords(t, r.stdout, 200)
			continue
		}
		r := run(t, nil, "restore", whole, to)
		require.Zero(t, r.code, "%s%s", r.stdout, r.stderr)
		requireRecords(t, run(t, nil, "check", to, "--json").stdout, 200)
	}
}

func requireRecords(t *testing.T, stdout string, want int) {
	t.Helper()
	var report struct {
		Records int
		Well    bool
	}
	require.NoError(t, json.Unmarshal([]byte(stdout), &report), stdout)
	require.True(t, report.Well, stdout)
	require.Equal(t, want, report.Records)
}

func killAfter(t *testing.T, wait time.Duration, args ...string) {
	t.Helper()
	cmd := command(t, nil, args...)
	require.NoError(t, cmd.Start())
	time.Sleep(wait)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

func TestCheckBackupAndRestoreRefuse(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, []byte("no backup"), 0o600))
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"check"}, 2, "check needs a directory"},
		{[]string{"check", dir}, 2, "it is empty"},
		{[]string{"check", filepath.Join(dir, "none")}, 1, "no such file"},
		{[]string{"backup", dir}, 2, "waddle backup DIR FILE"},
		{[]string{"backup", dir, file}, 2, "it is empty"},
		{[]string{"backup", "--verify", file}, 1, "it is not a backup"},
		{[]string{"backup", "--verify", file, file}, 2, "--verify takes one file"},
		{[]string{"backup", dir, "-", "--json"}, 2, "--json cannot be written there"},
		{[]string{"restore", file}, 2, "waddle restore FILE DIR"},
		{[]string{"restore", file, filepath.Join(dir, "new")}, 1, "nothing was restored"},
		{[]string{"restore", dir, filepath.Join(dir, "new")}, 2, "is a directory"},
	} {
		r := run(t, nil, c.args...)
		require.Equal(t, c.code, r.code, "%v: %s%s", c.args, r.stdout, r.stderr)
		require.Contains(t, lastLine(r), c.says)
	}
	require.NoDirExists(t, filepath.Join(dir, "new"))
}

// TestCheckOpensSealedRecords: with the secret each record opens, with another none.
func TestCheckOpensSealedRecords(t *testing.T) {
	needsSignals(t)
	const secret, other = "WADDLE_SECRET=a-secret-of-the-tests-that-is-long-enough-0123456789", "WADDLE_SECRET=another-secret-of-the-tests-that-is-long-enough-9876"
	dir := filepath.Join(t.TempDir(), "sessions")
	server := serve(t, []string{"SESSION_STORAGE=dynfile", "SESSION_DIR=" + dir, secret}, "--addr", "127.0.0.1:0")
	for range 3 {
		require.NoError(t, newVisitor(t).increment(server.address))
	}
	server.stop(t, syscall.SIGTERM)
	r := run(t, []string{secret}, "check", dir, "--open")
	require.Zero(t, r.code, "%s%s", r.stdout, r.stderr)
	r = run(t, []string{other}, "check", dir, "--open")
	require.Equal(t, 1, r.code, r.stdout)
	require.Equal(t, 3, strings.Count(r.stdout, "cannot be opened"), r.stdout)
	r = run(t, []string{other}, "check", dir)
	require.Zero(t, r.code, "without --open only checksums count: %s", r.stdout)
	r = run(t, nil, "check", dir, "--open")
	require.Equal(t, 2, r.code)
	require.Contains(t, lastLine(r), "WADDLE_SECRET")

	// A backup needs no secret, and what machines read says what it has.
	file, to := filepath.Join(t.TempDir(), "backup"), filepath.Join(t.TempDir(), "to")
	for _, args := range [][]string{{"backup", dir, file, "--json"}, {"backup", "--verify", file, "--json"}} {
		said := object(t, run(t, nil, args...).stdout)
		require.Equal(t, file, said["file"])
		require.Equal(t, "dynfile", said["manifest"].(map[string]any)["engine"])
		require.Equal(t, 3.0, said["end"].(map[string]any)["records"])
	}
	said := object(t, run(t, nil, "restore", file, to, "--json").stdout)
	require.Equal(t, 3.0, said["records"])
	require.Equal(t, "dynfile", said["engine"])
	require.NotEmpty(t, said["since"])
	r = run(t, []string{secret}, "check", to, "--open", "--json")
	require.Zero(t, r.code, "%s%s", r.stdout, r.stderr)
	requireRecords(t, r.stdout, 3)
}
