package servertest

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest/engines/internal/servertest/visitors"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs/crash"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

var (
	count = session.NewKey[int]("count")
	owner = session.NewKey[string]("owner")
)

func serve(t *testing.T, s store.Store) *httptest.Server {
	t.Helper()
	sessions, err := session.New(s, session.Settings{OnEvent: func(context.Context, session.Event) {}}) // there are thousands
	require.NoError(t, err)
	return httptest.NewServer(sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r)
		who := r.FormValue("owner")
		var n int
		var err error
		switch r.URL.Path {
		case "/bump":
			if err = owner.Set(s, who+strings.Repeat(".", rand.IntN(600))); err == nil {
				n, err = count.Update(s, func(n int) (int, error) { return n + 1, nil })
			}
		case "/renew":
			err = s.Renew()
		case "/login":
			err = s.LogIn(who, nil)
		case "/end":
			err = s.Destroy()
		case "/show":
			if n, err = count.Get(s); err == nil && n > 0 {
				var is string
				if is, err = owner.Get(s); err == nil && strings.TrimRight(is, ".") != who {
					err = fmt.Errorf("the session of %q came to %q", is, who)
				}
			}
		}
		if err != nil {
			sessions.WriteError(w, r, err)
			return
		}
		fmt.Fprint(w, n)
	})))
}

// site is a server and the disk that it uses.
type site struct {
	visitors.Site
	disk   *unreliable
	server *httptest.Server

	mu                sync.Mutex
	answered, refused int
}

func newSite(t *testing.T, disk *unreliable) *site {
	s := &site{disk: disk}
	s.Site = visitors.Site{T: t, Ask: s.ask, Gone: disk.gone}
	return s
}

func (s *site) ask(jar http.CookieJar, path, who string) (n int, ok bool) {
	client := http.Client{Jar: jar, Transport: s.server.Client().Transport}
	response, err := client.PostForm(s.server.URL+path, url.Values{"owner": {who}})
	require.NoError(s.T, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(s.T, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	if response.StatusCode != http.StatusOK {
		s.refused++
		return 0, false
	}
	s.answered++
	n, err = strconv.Atoi(string(body))
	require.NoError(s.T, err)
	return n, true
}

var may = []string{visitors.Bump, visitors.Bump, visitors.Bump, visitors.Renew, visitors.LogIn, visitors.End}

func forever() bool { return true }

// TestServerOverAFailingDisk: whatever fails, and whenever the power goes, nothing
// that was answered is lost, nothing is mixed up, and nothing that was ended comes
// back. A refused renewal or log-in leaves the session under the old id or the new
// one.
func TestServerOverAFailingDisk(t *testing.T) {
	rounds := 12
	if text := os.Getenv("WADDLE_CRASHES"); text != "" {
		n, err := strconv.Atoi(text)
		require.NoError(t, err)
		rounds = 6 * n
	}
	for name := range engines {
		for fault, what := range map[int64]string{noFault: "no change", 60: "one change in 60", 7: "one change in 7"} {
			t.Run(name+", "+what+" fails", func(t *testing.T) {
				seed := rand.Uint64()
				t.Logf("seed %d", seed)
				rng := rand.New(rand.NewPCG(seed, 0))
				disk := &unreliable{disk: crash.New(), rng: rng}
				s := newSite(t, disk)
				var all []*visitors.Visitor
				for i := range 6 {
					all = append(all, &visitors.Visitor{Name: fmt.Sprintf("visitor %d", i)})
				}
				for round := range rounds + 1 {
					opened := disk.open(t, name, 1+rng.IntN(600))
					s.server = serve(t, opened)
					s.URL, _ = url.Parse(s.server.URL)
					for _, v := range all {
						v.Check(&s.Site)
					}
					if round < rounds {
						disk.fault.Store(fault)
						var wait sync.WaitGroup
						for i, v := range all {
							rng := rand.New(rand.NewPCG(seed+uint64(round*100+i), 1))
							wait.Go(func() { v.Visit(&s.Site, rng, may, forever) })
						}
						wait.Wait()
					}
					s.server.Close()
					_ = store.Close(ctx, opened) // without power it saves nothing
					if t.Failed() {
						t.FailNow()
					}
					survivals := []crash.Survival{crash.Nothing, crash.Everything, crash.NamesOnly, crash.DataOnly, crash.Lengths, crash.Some(rng)}
					disk.disk.Restart(survivals[rng.IntN(len(survivals))])
				}
				require.Positive(t, s.answered)
				t.Logf("%d power cuts, %d answers, %d refusals", rounds, s.answered, s.refused)
			})
		}
	}
}
