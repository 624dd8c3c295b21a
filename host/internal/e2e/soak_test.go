package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// soakTime is how long a soak of each engine takes: some seconds, or the value of
// WADDLE_SOAK. The first third of it is warm-up. Slow leaks take minutes to show:
//
//	WADDLE_SOAK=10m go test -run TestSoak -timeout 1h -v ./host/internal/e2e
func soakTime(t *testing.T) time.Duration {
	text := os.Getenv("WADDLE_SOAK")
	if text == "" {
		return 9 * time.Second
	}
	d, err := time.ParseDuration(text)
	require.NoError(t, err, "WADDLE_SOAK")
	return d
}

// A quantity is flat if the median of the last third of its samples is at most
// factor times that of the first third plus slack.
var flat = map[string]struct {
	factor float64
	slack  int64
}{
	"RSS":           {1.25, 8 << 20},
	"descriptors":   {1.25, 10},
	"goroutines":    {1.25, 10},
	"bytes on disk": {1.3, 192 << 10},
}

// TestSoak: visitors come, change their sessions, log in, log out, or stay away until
// their sessions expire; their number stays the same. The server must use no more of its
// machine at the end than after warm-up. Its clock counts an hour per second, so that
// sessions expire soon, and so do the records that an ended session leaves for an hour.
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: a soak takes seconds")
	}
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED: samples are taken from Linux's /proc")
	}
	for _, name := range siteEngines {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "sessions")
			s := newSite(t, siteOptions{Engine: name, Dir: dir, Duration: 90 * time.Minute, MaxUserSessions: 4, Speed: 3600})
			soak := soakTime(t)
			var over atomic.Bool
			var requests, expired atomic.Int64
			var wait sync.WaitGroup
			for worker := range 4 {
				wait.Go(func() {
					time.Sleep(time.Duration(worker) * 450 * time.Millisecond) // so that they are not all away at once
					for turn := 0; !over.Load(); turn++ {
						if err := soakVisits(s, worker, turn, &requests, &expired); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			stop := sync.OnceFunc(func() { over.Store(true); wait.Wait() })
			defer stop()
			samples := make(map[string][]int64)
			time.Sleep(soak / 3)
			for began := time.Now(); time.Since(began) < soak*2/3; time.Sleep(max(100*time.Millisecond, soak/300)) {
				body, _, err := s.post("/sample", "", nil)
				require.NoError(t, err)
				var sample siteSample
				require.NoError(t, json.Unmarshal([]byte(body), &sample))
				for what, n := range map[string]int64{
					"RSS": sample.RSS, "descriptors": sample.Descriptors,
					"goroutines": sample.Goroutines, "bytes on disk": bytesIn(dir),
				} {
					samples[what] = append(samples[what], n)
				}
			}
			stop()
			s.stop()
			require.Positive(t, expired.Load(), "sessions expire")
			for what, allowed := range flat {
				n := len(samples[what])
				require.GreaterOrEqual(t, n, 9, "too few samples of %s", what)
				first, middle, last := median(samples[what][:n/3]), median(samples[what][n/3:n-n/3]), median(samples[what][n-n/3:])
				t.Logf("%s: %d, then %d, then %d, in %d samples", what, first, middle, last, n)
				if most := int64(float64(first)*allowed.factor) + allowed.slack; last > most {
					t.Errorf("%s are not flat: %d, then %d, then %d, which is more than %d\n%v", what, first, middle, last, most, samples[what])
				}
				require.Positive(t, first, what)
			}
			t.Logf("%d requests, %d sessions found expired", requests.Load(), expired.Load())
		})
	}
}

// soakVisits runs the ten visitors of a worker, one step each in turn. Every second
// one logs in, one in three of those logs out, and the others let their sessions
// expire. Some check whether theirs has.
func soakVisits(s *site, worker, turn int, requests, expired *atomic.Int64) error {
	var cookies [10]string
	post := func(i int, path string, form url.Values) (body string, err error) {
		requests.Add(1)
		time.Sleep(10 * time.Millisecond)
		body, cookies[i], err = s.post(path, cookies[i], form)
		if errors.Is(err, errEnded) { // it expired during the change: this machine is busy
			cookies[i], err = "", nil
		}
		return body, err
	}
	for step := range 6 {
		for i := range cookies {
			var err error
			switch {
			case step == 2 && i%2 == 0:
				_, err = post(i, "/login", url.Values{"user": {fmt.Sprintf("user %d", (worker*10+i+turn)%20)}})
			case step == 5 && i%3 == 0:
				_, err = post(i, "/end", nil)
			default:
				_, err = post(i, "/bump", nil)
			}
			if err != nil {
				return err
			}
		}
	}
	time.Sleep(1600 * time.Millisecond)
	body, err := post(1, "/show", nil)
	if body == "0" {
		expired.Add(1)
	}
	return err
}

func median(of []int64) int64 {
	of = slices.Sorted(slices.Values(of))
	return of[len(of)/2]
}

// bytesIn adds up the files of a directory, skipping those that vanish meanwhile.
func bytesIn(dir string) (sum int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			sum += info.Size()
		}
		return nil
	})
	return sum
}
