package e2e

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const day = 24 * time.Hour

// TestClockThatJumps: a server's clock goes wrong and is corrected, while clients
// go on and space is swept and freed. Sessions made after the correction are there,
// whatever the clock was before. An ended session never returns, whenever it was
// made and ended.
func TestClockThatJumps(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: servers start many times")
	}
	for _, c := range []struct {
		name     string
		duration time.Duration
		before   time.Duration // how far the clock is ahead at first
		wrong    time.Duration // and then, before it is right
	}{
		{"20 minutes ahead, sessions of 15 minutes", 15 * time.Minute, 0, 20 * time.Minute},
		{"8 days ahead", 0, 0, 8 * day},
		{"years ahead", 0, 0, 5 * 365 * day},
		{"a boot in 1970", 0, time.Until(time.Unix(10, 0)), time.Until(time.Unix(3600, 0))},
	} {
		for _, name := range siteEngines {
			t.Run(c.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				j := &jumpTest{
					t: t,
					s: newSite(t, siteOptions{
						Engine: name, Dir: filepath.Join(t.TempDir(), "sessions"),
						Duration: c.duration, Ahead: c.before,
					}),
				}
				j.goOn()
				defer j.goOff()

				before := j.visitors("before", 16)
				j.end(before[:4])
				j.churn()
				j.setClock(c.wrong)
				wrong := j.visitors("wrong", 16)
				j.end(before[8:12])
				j.end(wrong[:4])
				j.churn()
				j.restart()
				j.end(wrong[4:8])
				j.churn()
				j.setClock(0)
				right := j.visitors("right", 40)
				j.end(before[4:8])
				j.end(wrong[8:12])
				j.end(right[:8])
				right = right[8:]
				for range 3 {
					j.churn()
					j.check(right)
					j.bump(right[:16])
					j.restart()
					j.check(right)
				}
				right = append(right, j.visitors("later", 8)...)
				j.churn()
				j.check(right)
				require.Positive(t, j.went.Load(), "clients went on")
			})
		}
	}
}

// jumper is a test of a clock that jumps, with its visitors.
type jumper struct {
	name, cookie string
	count        int
}

type jumpTest struct {
	t     *testing.T
	s     *site
	ended []jumper

	// Other clients go on meanwhile, except while the server is down.
	running sync.RWMutex
	over    atomic.Bool
	went    atomic.Int64
	clients sync.WaitGroup
}

// goOn makes clients come and go until goOff.
func (j *jumpTest) goOn() {
	for range 2 {
		j.clients.Go(func() {
			for !j.over.Load() {
				var cookie string
				for _, path := range []string{"/bump", "/bump", "/login", "/bump", "/show", "/end"} {
					if cookie = j.goOnWith(path, cookie); j.t.Failed() {
						return
					}
					time.Sleep(3 * time.Millisecond)
				}
			}
		})
	}
}

func (j *jumpTest) goOnWith(path, cookie string) string {
	j.running.RLock()
	defer j.running.RUnlock()
	_, cookie, err := j.s.post(path, cookie, url.Values{"user": {"one who goes on"}})
	if errors.Is(err, errEnded) { // the clock jumped while it was changed
		cookie, err = "", nil
	}
	if err != nil {
		j.t.Error(err)
	}
	j.went.Add(1)
	return cookie
}

func (j *jumpTest) goOff() {
	j.over.Store(true)
	j.clients.Wait()
}

// visitors come, and every second one logs in.
func (j *jumpTest) visitors(name string, n int) (all []*jumper) {
	j.t.Helper()
	for i := range n {
		all = append(all, &jumper{name: fmt.Sprintf("%s %d", name, i)})
	}
	j.bump(all)
	for i, v := range all {
		if i%2 == 0 {
			j.post(v, "/login", url.Values{"user": {fmt.Sprint("user ", i%5)}})
		}
	}
	j.bump(all[:n/2])
	return all
}

func (j *jumpTest) bump(all []*jumper) {
	j.t.Helper()
	for _, v := range all {
		n, err := strconv.Atoi(j.post(v, "/bump", nil))
		require.NoError(j.t, err)
		require.Equal(j.t, v.count+1, n, v.name)
		v.count = n
	}
}

// end logs visitors out. They keep copies of their cookies.
func (j *jumpTest) end(all []*jumper) {
	j.t.Helper()
	for _, v := range all {
		j.ended = append(j.ended, *v)
		j.post(v, "/end", nil)
	}
}

// churn fills segments, so that the engine has space to free.
func (j *jumpTest) churn() {
	j.t.Helper()
	var v *jumper
	for i := range 160 {
		if i%20 == 0 {
			v = new(jumper)
		}
		j.post(v, "/bump", nil)
	}
	time.Sleep(150 * time.Millisecond) // the engine sweeps every 50 ms
}

func (j *jumpTest) check(alive []*jumper) {
	j.t.Helper()
	for _, v := range alive {
		require.Equal(j.t, strconv.Itoa(v.count), j.post(v, "/show", nil), "%s has its session", v.name)
	}
	for _, v := range j.ended {
		require.Equal(j.t, "0", j.post(&v, "/show", nil), "%s has logged out", v.name)
	}
}

func (j *jumpTest) post(v *jumper, path string, form url.Values) (body string) {
	j.t.Helper()
	body, cookie, err := j.s.post(path, v.cookie, form)
	require.NoError(j.t, err, v.name)
	v.cookie = cookie
	return body
}

func (j *jumpTest) setClock(ahead time.Duration) {
	j.t.Helper()
	j.s.setClock(ahead)
}

// restart kills the server and starts it again. A server that keeps sessions in
// memory gets time to write them.
func (j *jumpTest) restart() {
	j.t.Helper()
	j.running.Lock()
	defer j.running.Unlock()
	if j.s.options.Engine == "memory" {
		j.s.stop()
	} else {
		j.s.kill()
	}
	j.s.start()
}
