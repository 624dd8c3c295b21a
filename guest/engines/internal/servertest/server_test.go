package servertest

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
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
	settings := session.Defaults()
	settings.OnEvent = func(context.Context, session.Event) {} // there are thousands
	sessions, err := session.New(s, settings)
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
			sessions.Error(w, r, err)
			return
		}
		fmt.Fprint(w, n)
	})))
}

// visitor is a browser, and what it was told.
type visitor struct {
	name   string
	jars   []http.CookieJar // where the session may be: after a renewal that failed, under either id
	least  int              // the count as answered last, 0 before the first answer
	most   int              // with those that were asked for and refused
	ending bool             // an end was asked for and refused
	cut    string           // what was asked for when the power went
	ended  []http.CookieJar
	story  []string // what was asked for and answered, for when it goes wrong
}

func (v *visitor) tell(s *site, what string, jar http.CookieJar, n int, ok bool) {
	id := "none"
	if cookies := jar.Cookies(s.base); len(cookies) > 0 {
		id = cookies[0].Value[:min(8, len(cookies[0].Value))]
	}
	v.story = append(v.story, fmt.Sprintf("%s: %d %v, then with %s", what, n, ok, id))
	v.story = v.story[max(0, len(v.story)-40):]
}

// site is a server and the disk that it is on.
type site struct {
	t      *testing.T
	disk   *unreliable
	server *httptest.Server
	base   *url.URL

	mu                sync.Mutex
	answered, refused int
}

func (s *site) ask(jar http.CookieJar, path, who string) (n int, ok bool) {
	client := http.Client{Jar: jar, Transport: s.server.Client().Transport}
	response, err := client.PostForm(s.server.URL+path, url.Values{"owner": {who}})
	require.NoError(s.t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(s.t, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	if response.StatusCode != http.StatusOK {
		s.refused++
		return 0, false
	}
	s.answered++
	n, err = strconv.Atoi(string(body))
	require.NoError(s.t, err)
	return n, true
}

func (s *site) clone(jar http.CookieJar) http.CookieJar {
	to, _ := cookiejar.New(nil)
	to.SetCookies(s.base, jar.Cookies(s.base))
	return to
}

// visit makes requests until the power is gone.
func (v *visitor) visit(s *site, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 1))
	for !s.disk.gone() {
		if len(v.jars) == 0 {
			jar, _ := cookiejar.New(nil)
			*v = visitor{name: v.name, jars: []http.CookieJar{jar}, ended: v.ended, story: v.story}
		}
		if !v.find(s) {
			continue
		}
		path := "/bump"
		if v.least > 0 {
			path = []string{"/bump", "/bump", "/bump", "/renew", "/login", "/end"}[rng.IntN(6)]
		}
		jar := v.jars[0]
		before := s.clone(jar)
		n, ok := s.ask(jar, path, v.name)
		v.tell(s, path, jar, n, ok)
		switch {
		case !ok && s.disk.gone():
			v.cut = path
			if path == "/bump" {
				v.most++
			}
			v.jars = []http.CookieJar{jar, before}
			return
		case !ok && path == "/bump":
			v.most++
		case !ok && path == "/end":
			v.ending, v.jars = true, []http.CookieJar{before}
		case !ok:
			v.jars = []http.CookieJar{jar, before}
		case path == "/bump":
			if n <= v.least || n > v.most+1 {
				s.t.Errorf("%s was at %d to %d, and the next answer was %d", v.name, v.least, v.most, n)
				return
			}
			v.least, v.most = n, n
		case path == "/end":
			v.ended, v.jars = append(v.ended, before), nil
		default:
			v.ended = append(v.ended, before)
		}
	}
}

// find has the visitor know where its session is, and reports whether it does.
func (v *visitor) find(s *site) bool {
	if len(v.jars) == 1 && !v.ending || v.least == 0 {
		v.jars = v.jars[:1]
		return true
	}
	for _, jar := range v.jars {
		n, ok := s.ask(s.clone(jar), "/show", v.name)
		v.tell(s, "/show", jar, n, ok)
		if !ok {
			return false // the server is in trouble
		}
		if n != 0 {
			if n < v.least || n > v.most {
				s.t.Errorf("%s was at %d to %d, and has %d:\n%s", v.name, v.least, v.most, n, strings.Join(v.story, "\n"))
			}
			v.jars, v.least, v.most, v.ending = []http.CookieJar{jar}, n, n, false
			return true
		}
	}
	// Who asks for an end may get it without being told. Of a renewal that the power
	// went in, nobody was told the new id.
	if !v.ending && v.cut != "/end" && v.cut != "/renew" && v.cut != "/login" {
		s.t.Errorf("%s was at %d to %d, and has no session:\n%s", v.name, v.least, v.most, strings.Join(v.story, "\n"))
	}
	v.jars = nil
	return false
}

func (v *visitor) check(s *site) {
	for i, jar := range v.ended {
		n, ok := s.ask(s.clone(jar), "/show", v.name)
		require.True(s.t, ok, "%s, ended session %d", v.name, i)
		v.tell(s, "ended", jar, n, ok)
		require.Zero(s.t, n, "a session of %s that was ended came back:\n%s", v.name, strings.Join(v.story, "\n"))
	}
	v.ended = v.ended[max(0, len(v.ended)-8):]
	if len(v.jars) > 0 && v.least > 0 {
		v.jars = append(v.jars, s.clone(v.jars[0])) // so that find looks
		v.find(s)
	} else {
		v.jars = nil
	}
	v.cut = ""
	v.story = append(v.story, "the machine was up again")
}

// TestServerOverAFailingDisk: whatever fails, and whenever the power goes, nothing
// that was answered is lost, nothing is mixed up, and nothing that was ended comes
// back. A renewal or a log-in that is refused leaves the session under the old id or
// the new.
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
				s := &site{t: t, disk: disk}
				var visitors []*visitor
				for i := range 6 {
					visitors = append(visitors, &visitor{name: fmt.Sprintf("visitor %d", i)})
				}
				for round := range rounds + 1 {
					opened := disk.open(t, name, 1+rng.IntN(600))
					s.server = serve(t, opened)
					s.base, _ = url.Parse(s.server.URL)
					for _, v := range visitors {
						v.check(s)
					}
					if round < rounds {
						disk.fault.Store(fault)
						var wait sync.WaitGroup
						for i, v := range visitors {
							wait.Go(func() { v.visit(s, seed+uint64(round*100+i)) })
						}
						wait.Wait()
					}
					s.server.Close()
					_ = opened.Close(ctx) // without power it saves nothing
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
