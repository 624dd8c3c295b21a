package e2e

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session"
)

// logLines is a log that can be read while it is written.
type logLines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logLines) count() (lines int, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), "\n"), l.b.String()
}

// guestbook is a server with sessions on an engine.
type guestbook struct {
	t      *testing.T
	server *httptest.Server
	log    *logLines
}

func newGuestbook(t *testing.T, name, dir string, durability plugin.Durability, shards int) *guestbook {
	g := &guestbook{t: t, log: new(logLines)}
	logger := slog.New(slog.NewTextHandler(g.log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	config := quiet()
	config.Shards, config.Durability, config.Logger = shards, durability, logger
	config.SaveInterval, config.SweepInterval = 50*time.Millisecond, 0
	engine := open(t, name, dir, config)
	settings := session.Defaults()
	settings.OnEvent = session.LogEvents(logger)
	sessions, err := session.New(engine, settings)
	require.NoError(t, err)
	g.server = httptest.NewServer(sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r)
		var err error
		switch r.URL.Path {
		case "/count":
			_, err = count.Update(s, func(n int) (int, error) { return n + 1, nil })
		case "/end":
			err = s.Destroy()
		default:
			var n int
			if n, err = count.Get(s); err == nil {
				fmt.Fprint(w, n)
			}
		}
		if err != nil {
			sessions.WriteError(w, r, err)
		}
	})))
	t.Cleanup(g.server.Close)
	return g
}

// ask makes a request with a session and returns its cookie.
func (g *guestbook) ask(path, cookie string) (status int, body, newCookie string, header http.Header) {
	g.t.Helper()
	r, err := http.NewRequest(http.MethodPost, g.server.URL+path, nil)
	require.NoError(g.t, err)
	if cookie != "" {
		r.Header.Set("Cookie", cookie)
	}
	response, err := g.server.Client().Do(r)
	require.NoError(g.t, err)
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	require.NoError(g.t, err)
	for _, c := range response.Cookies() {
		cookie = c.Name + "=" + c.Value
	}
	return response.StatusCode, string(b), cookie, response.Header
}

// Other programs fill the disk for a while. Until there is room again, new visitors
// are told to come back, existing sessions remain, and sessions can be ended. As
// soon as there is room, nobody is turned away, on a site with few visitors and on
// one with many. The log reports the fault, but not each time.
func TestTheDiskWasFullForAWhile(t *testing.T) {
	overEngines(t, func(t *testing.T, name string) {
		for _, durability := range []plugin.Durability{plugin.DurabilityInterval, plugin.DurabilityCommit} {
			for pause, refused := range map[time.Duration]int{150 * time.Millisecond: 12, 0: 600} {
				t.Run(fmt.Sprintf("%v, %d are refused", durability, refused), func(t *testing.T) {
					disk := smallDisk(t, "24m")
					g := newGuestbook(t, name, filepath.Join(disk, "sessions"), durability, 4)
					var cookies []string
					for range 24 {
						status, _, cookie, _ := g.ask("/count", "")
						require.Equal(t, http.StatusOK, status)
						cookies = append(cookies, cookie)
					}
					before, _ := g.log.count()
					for round := range 2 {
						for turned := 0; turned < refused; {
							fillUp(t, disk)
							status, body, _, header := g.ask("/count", "")
							if status == http.StatusOK {
								continue // it fitted into the existing space
							}
							turned++
							require.Equal(t, http.StatusServiceUnavailable, status, body)
							require.Equal(t, "1", header.Get("Retry-After"))
							time.Sleep(pause)
						}
						for i, cookie := range cookies[4:] {
							status, body, _, _ := g.ask("/", cookie)
							require.Equal(t, http.StatusOK, status)
							require.Equal(t, fmt.Sprint(round+1), body, "visitor %d", i)
						}
						for _, cookie := range cookies[2*round:][:2] {
							status, _, _, _ := g.ask("/end", cookie)
							require.Equal(t, http.StatusOK, status, "a log-out takes no room")
						}
						makeRoom(t, disk)
						if refused > 100 {
							time.Sleep(100 * time.Millisecond) // the longest that a busy engine rests
						}
						for i, cookie := range cookies[4:] {
							status, body, _, _ := g.ask("/count", cookie)
							require.Equal(t, http.StatusOK, status, "round %d, visitor %d: %s", round, i, body)
							status, body, _, _ = g.ask("/count", "")
							require.Equal(t, http.StatusOK, status, "round %d, somebody new: %s", round, body)
						}
					}
					for i, cookie := range cookies[4:] {
						_, body, _, _ := g.ask("/", cookie)
						require.Equal(t, "3", body, "visitor %d", i)
					}
					after, text := g.log.count()
					require.Greater(t, after, before, "it is said")
					require.LessOrEqual(t, after-before, 20, text)
				})
			}
		}
	})
}

// The log reports a snapshot that finds no room a few times, not at each attempt.
// The snapshot is written soon after there is room.
func TestSnapshotOnADiskThatWasFull(t *testing.T) {
	disk := smallDisk(t, "24m")
	log := new(logLines)
	config := quiet()
	config.Snapshots = filepath.Join(disk, "snapshots")
	config.Shards, config.SaveInterval = 2, 5*time.Millisecond
	config.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	p, err := memory.Open(ctx, config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Close(ctx) })
	fillUp(t, disk)
	fill(t, p, 50)
	require.Eventually(t, func() bool { n, _ := log.count(); return n > 0 }, time.Minute, time.Millisecond)
	for range 20 {
		fill(t, p, 50)
		time.Sleep(10 * time.Millisecond)
	}
	n, text := log.count()
	require.LessOrEqual(t, n, 3, text)
	file := filepath.Join(config.Snapshots, "sessions.snapshot")
	require.NoFileExists(t, file)
	makeRoom(t, disk)
	require.Eventually(t, func() bool { _, err := os.Stat(file); return err == nil }, time.Minute, time.Millisecond)
	require.NoError(t, p.Close(ctx))
	p, err = memory.Open(ctx, config)
	require.NoError(t, err)
	require.Equal(t, 50, held(t, p, 50))
	require.NoError(t, p.Close(ctx))
}
