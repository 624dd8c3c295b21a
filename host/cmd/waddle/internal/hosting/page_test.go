package hosting

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/tenant"
)

// browserTab is a browser without scripts: it follows links and sends forms.
type browserTab struct {
	*process
	client *http.Client
	page   string
}

func (p *process) browser() *browserTab {
	p.Helper()
	return &browserTab{p, visitor(p.T), ""}
}

func (b *browserTab) get(path string) reply {
	b.Helper()
	r, err := http.NewRequest("GET", b.panel.URL+path, nil)
	require.NoError(b, err)
	got := send(b.T, b.client, r)
	b.page = got.body
	return got
}

var csrfInput = regexp.MustCompile(`name="([^"]+)" value="([^"]+)"`)

// post sends a form of the page, with its token.
func (b *browserTab) post(path string, values url.Values) reply {
	b.Helper()
	if values == nil {
		values = url.Values{}
	}
	if m := regexp.MustCompile(`<input type="hidden" (` + csrfInput.String() + `)>`).FindStringSubmatch(b.page); m != nil {
		values.Set(m[2], m[3])
	}
	r, err := http.NewRequest("POST", b.panel.URL+path, strings.NewReader(values.Encode()))
	require.NoError(b, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	got := send(b.T, b.client, r)
	b.page = got.body
	return got
}

func (b *browserTab) logIn() {
	b.Helper()
	b.get("/login")
	require.Equal(b, http.StatusOK, b.post("/login", url.Values{"token": {testToken}}).StatusCode)
	require.Contains(b, b.page, "Log out")
}

func TestAdminPages(t *testing.T) {
	p := start(t, manifest("alice", "alice.localhost"))
	p.visit(visitor(t), "POST", "alice.localhost", "/api/session/visits/increment")
	b := p.browser()
	got := b.get("/")
	require.Equal(t, "/login", got.Request.URL.Path, "whoever is not logged in comes to the log-in")
	require.NotContains(t, got.body, "alice")
	require.Equal(t, http.StatusUnauthorized, b.post("/login", url.Values{"token": {"a wrong one"}}).StatusCode)
	require.Contains(t, b.page, "That is not the token.")
	require.Equal(t, http.StatusUnauthorized, b.post("/login", nil).StatusCode)
	b.logIn()
	require.Contains(t, b.page, "alice.localhost")

	bob := manifest("bob", "bob.localhost")
	b.post("/deploy", url.Values{"manifest": {strings.ReplaceAll(bob, ", ", ",\r\n")}})
	require.Contains(t, b.page, "<h1>bob</h1>")
	require.Equal(t, http.StatusBadRequest, b.post("/deploy", url.Values{"manifest": {"{<script>"}}).StatusCode)
	require.Contains(t, b.page, "{&lt;script&gt;", "what was typed is still there")
	require.NotContains(t, b.page, "<script>")

	b.get("/tenants/alice?sessions=list")
	require.Contains(t, b.page, "1 session.")
	end := regexp.MustCompile(`action="(/tenants/alice/sessions/[^"]+/end)"`).FindStringSubmatch(b.page)
	require.NotNil(t, end)
	b.post(end[1], nil)
	require.Contains(t, b.page, "No sessions.")
	require.Equal(t, http.StatusNotFound, b.post(end[1], nil).StatusCode)
	b.post("/tenants/alice/sleep", nil)
	require.Contains(t, b.page, ">asleep<")
	b.get("/tenants/alice/remove")
	b.post("/tenants/alice/remove", nil)
	require.NotContains(t, b.page, "alice.localhost")
	require.Equal(t, http.StatusNotFound, b.get("/tenants/alice").StatusCode)
	require.Len(t, p.host.Tenants(), 1)

	b.get("/")
	b.post("/logout", nil)
	require.Equal(t, "/login", b.get("/").Request.URL.Path)
}

// TestAdminPagesAreProtected: no other site, and nobody without the log-in, changes
// anything.
func TestAdminPagesAreProtected(t *testing.T) {
	p := start(t, manifest("alice", "alice.localhost"))
	b := p.browser()
	b.logIn()
	cookie := b.client.Jar.Cookies(must(url.Parse(p.panel.URL)))
	require.Len(t, cookie, 1)
	for name, c := range map[string]struct {
		header http.Header
		cookie bool
	}{
		"of another site":   {http.Header{"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://evil.example"}}, true},
		"of a tenant":       {http.Header{"Sec-Fetch-Site": {"same-site"}, "Origin": {"http://alice.localhost:8080"}}, true},
		"without its token": {http.Header{}, true},
		"without a log-in":  {http.Header{"Sec-Fetch-Site": {"same-origin"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{"/tenants/alice/remove", "/tenants/alice/sleep", "/deploy", "/logout"} {
				r := httptest.NewRequest("POST", p.panel.URL+path, strings.NewReader("manifest="+url.QueryEscape(manifest("evil"))))
				r.Header = c.header.Clone()
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				if c.cookie {
					r.AddCookie(cookie[0])
				}
				w := httptest.NewRecorder()
				p.admin.ServeHTTP(w, r)
				require.Contains(t, []int{http.StatusForbidden, http.StatusSeeOther}, w.Code, path)
				if w.Code == http.StatusSeeOther {
					require.Equal(t, "/login", w.Header().Get("Location"))
					require.False(t, c.cookie)
				}
			}
			require.Len(t, p.host.Tenants(), 1)
			require.Contains(t, b.get("/").body, "alice", "still logged in")
		})
	}
	r := httptest.NewRequest("POST", p.panel.URL+"/login", strings.NewReader("token="+testToken))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	p.admin.ServeHTTP(w, r)
	line := w.Header().Get("Set-Cookie")
	for _, attribute := range []string{"HttpOnly", "SameSite=Strict", "Path=/"} {
		require.Contains(t, line, attribute)
	}
	require.NotContains(t, line, "Max-Age")
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestPageIsEscaped: whatever a tenant or its plugin says is text.
func TestPageIsEscaped(t *testing.T) {
	m := new(markup)
	evil := `<script>alert(1)</script>" onmouseover="x`
	v := &View{Name: evil, Hosts: []string{evil}, State: tenant.State(evil), Failure: evil, Errors: map[string]uint64{evil: 1}, Limits: map[string]uint64{evil: 1}}
	m.table([]*View{v}, query{text: evil, sort: "name", page: 1}, func(h string) string { return "http://" + h })
	m.problems(&Snapshot{Problems: []Problem{{File: evil, Tenant: evil, Error: evil}}})
	m.deployForm("", evil, evil)
	require.NotContains(t, m.String(), "<script>")
	require.NotContains(t, m.String(), `" onmouseover`)
}

func TestTableIsSortedSearchedAndPaged(t *testing.T) {
	var all []View
	for i := range 250 {
		all = append(all, View{Name: fmt.Sprintf("t%03d", i), Hosts: []string{fmt.Sprintf("h%d.example", i)}, Requests: uint64(i % 7), State: tenant.StateServing})
	}
	names := func(q string) (list []string, found int) {
		shown, found := queryOf(must(url.ParseQuery(q))).choose(all)
		for _, v := range shown {
			list = append(list, v.Name)
		}
		return list, found
	}
	list, found := names("")
	require.Equal(t, 250, found)
	require.Len(t, list, 100)
	require.Equal(t, "t000", list[0])
	list, _ = names("page=3")
	require.Equal(t, "t200", list[0])
	require.Len(t, list, 50)
	list, _ = names("page=99")
	require.Empty(t, list)
	list, _ = names("sort=requests")
	require.Equal(t, []string{"t006", "t013"}, list[:2])
	list, found = names("q=H24.example")
	require.Equal(t, []string{"t024"}, list)
	require.Equal(t, 1, found)
	for _, q := range []string{"sort=evil", "page=-1", "page=x", "q=" + strings.Repeat("x", 1000)} {
		names(q)
	}
	require.Equal(t, "/", query{"", "name", 1}.address("name", 1))
	require.Equal(t, "/?page=2&q=a+b&sort=fuel", query{"a b", "name", 1}.address("fuel", 2))
}
