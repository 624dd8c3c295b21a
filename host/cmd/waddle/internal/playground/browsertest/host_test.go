package browsertest

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// hostProcess is "waddle host" over a directory of manifests.
type hostProcess struct {
	t           *testing.T
	dir         string
	site, admin string // addresses
	token       string
}

func host(t *testing.T, tenants ...string) *hostProcess {
	t.Helper()
	p := &hostProcess{t: t, dir: t.TempDir()}
	for _, name := range tenants {
		p.manifest(name)
	}
	cmd := exec.Command(waddle(t), "host", p.dir, "--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0")
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "SESSION_") && !strings.HasPrefix(v, "WADDLE_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	var log strings.Builder
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	lines := bufio.NewReader(out)
	for _, to := range []*string{&p.site, &p.admin} {
		line, err := lines.ReadString('\n')
		require.NoError(t, err, "the program ended before it listened")
		*to = regexp.MustCompile(`http://[^\s]+`).FindString(line)
	}
	text, err := os.ReadFile(filepath.Join(p.dir, ".admin-token"))
	require.NoError(t, err)
	p.token = strings.TrimSpace(string(text))
	for _, name := range tenants {
		p.await(name, http.StatusOK)
	}
	return p
}

func (p *hostProcess) manifest(name string) {
	p.t.Helper()
	text := fmt.Sprintf(`{"name": %q, "hosts": ["%[1]s.localhost"], "plugin": {"bundled": "memory"}}`, name)
	require.NoError(p.t, os.WriteFile(filepath.Join(p.dir, name+".json"), []byte(text), 0o644))
}

// request sends a visitor's request to a tenant.
func (p *hostProcess) request(method, tenant, path string) int {
	r, err := http.NewRequest(method, p.site+path, nil)
	require.NoError(p.t, err)
	r.Host = tenant + ".localhost"
	resp, err := http.DefaultClient.Do(r)
	require.NoError(p.t, err)
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

func (p *hostProcess) await(tenant string, status int) {
	p.t.Helper()
	for began := time.Now(); p.request("GET", tenant, "/") != status; time.Sleep(20 * time.Millisecond) {
		require.Less(p.t, time.Since(began), patience, "waited in vain for %s", tenant)
	}
}

// openHost opens the operator's page in a browser.
func openHost(t *testing.T, p *hostProcess, scripts bool) *tab {
	t.Helper()
	b := &tab{t: t, address: p.admin}
	b.start()
	if !scripts {
		call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	}
	b.do(chromedp.Navigate(b.address))
	return b
}

func (b *tab) logInAsOperator(p *hostProcess) {
	b.t.Helper()
	b.do(chromedp.SendKeys(chromedp.CSS("#token"), p.token))
	b.press("main button")
	b.until(`document.querySelector("#figures")`)
}

// press clicks a button that leads to another page.
func (b *tab) press(selector string) {
	b.t.Helper()
	b.click(selector)
}

// TestOperatorsPage: log in, look, deploy, list and end sessions, sleep, remove: with
// scripts and without, on every width, in both colour schemes.
func TestOperatorsPage(t *testing.T) {
	for _, scripts := range []bool{true, false} {
		t.Run(fmt.Sprintf("scripts %v", scripts), func(t *testing.T) {
			p := host(t, "alice", "bob", "a-tenant-with-quite-a-long-name-for-those-who-measure-columns")
			require.NoError(t, os.WriteFile(filepath.Join(p.dir, "broken.json"), []byte(`{"name": "broken", "plugin": {"file": "no.wasm"}}`), 0o644))
			for range 3 {
				require.Equal(t, http.StatusOK, p.request("POST", "alice", "/api/session/visits/increment"))
			}
			b := openHost(t, p, scripts)
			b.look("login")
			b.logInAsOperator(p)
			b.reloadUntil(`document.querySelector(".problems")?.textContent.includes("broken.json")`)
			require.Contains(t, b.text("tbody"), "alice.localhost")
			b.look("tenants")

			b.do(chromedp.Navigate(b.address + "/tenants/alice"))
			b.click(`form[method="get"] button:not(.danger)`)
			b.until(`document.querySelectorAll("table.sessions tbody tr").length === 3`)
			b.look("sessions")
			b.click("table.sessions tbody tr button")
			b.until(`document.querySelectorAll("table.sessions tbody tr").length === 2`)
			b.click(`form[action$="/sleep"] button`)
			b.until(`document.querySelector(".pill")?.textContent === "asleep"`)
			b.click(`form[action$="/remove"] button`)
			b.until(`document.querySelector("h1")?.textContent.startsWith("Remove")`)
			b.look("remove")
			b.click(`form[action$="/remove"] button`)
			b.until(`document.querySelector("#figures") && !document.querySelector("tbody")?.textContent.includes("alice")`)
			require.Equal(t, http.StatusNotFound, p.request("GET", "alice", "/"))
			require.NoFileExists(t, filepath.Join(p.dir, "alice.json"))

			b.click("summary")
			b.look("deploy")
			b.click(".deploy button")
			b.until(`document.querySelector("h1")?.textContent === "example"`)
			p.await("example", http.StatusOK)
			b.click(`form[action="/logout"] button`)
			b.until(`document.querySelector("#token")`)
			b.do(chromedp.Navigate(b.address))
			b.until(`document.querySelector("#token")`)
			b.noProblems()
		})
	}
}

// TestOperatorsPageIsLive: new figures appear by themselves, what somebody uses is not
// replaced meanwhile, and the keyboard is enough.
func TestOperatorsPageIsLive(t *testing.T) {
	p := host(t, "alice")
	b := openHost(t, p, true)
	b.logInAsOperator(p)
	require.NotContains(t, b.text("tbody"), "bob")
	p.manifest("bob")
	p.await("bob", http.StatusOK)
	b.until(`document.querySelector("tbody").textContent.includes("bob")`)

	eval[any](b, `(window.link = document.querySelector("tbody a"), window.link.focus(), null)`)
	p.manifest("carol")
	p.await("carol", http.StatusOK)
	time.Sleep(6 * time.Second) // longer than the page waits to look again
	require.True(t, eval[bool](b, `document.activeElement === window.link`), "what has the focus stays")
	eval[any](b, `(document.activeElement.blur(), null)`)
	b.until(`document.querySelector("tbody").textContent.includes("carol")`)

	// From the top, the keyboard reaches the content by one key and one more.
	b.do(chromedp.Navigate(b.address))
	b.until(`document.querySelector("#figures")`)
	b.do(chromedp.KeyEvent("\t"))
	require.Equal(t, "To the content", eval[string](b, "document.activeElement.textContent"))
	require.Empty(t, eval[[]string](b, `[...document.querySelectorAll("button, input:not([type=hidden]), textarea, a")]
		.filter((e) => !(e.getAttribute("aria-label") || e.labels?.length || e.textContent.trim()))
		.map((e) => e.outerHTML)`), "each has a name")
	b.noProblems()
}

// look tests how a page looks on every width, in both colour schemes.
func (b *tab) look(name string) {
	b.t.Helper()
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{1280, 800, 390, 320} {
			call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
				{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
			b.do(chromedp.EmulateViewport(width, 900))
			require.LessOrEqual(b.t, eval[int64](b, "document.documentElement.scrollWidth"), width, "%s, %d px: the page scrolls sideways", name, width)
			require.Empty(b.t, eval[[]string](b, outside), "%s, %d px", name, width)
			require.Empty(b.t, eval[[]string](b, pale), "%s, %s", name, scheme)
			b.shoot(fmt.Sprintf("host-%s-%s-%d", name, scheme, width))
		}
	}
}

// reloadUntil loads the page again until an expression is true.
func (b *tab) reloadUntil(expression string) {
	b.t.Helper()
	for began := time.Now(); !eval[bool](b, "!!("+expression+")"); time.Sleep(100 * time.Millisecond) {
		require.Less(b.t, time.Since(began), patience, "waited in vain for %s", expression)
		b.do(chromedp.Navigate(b.address))
		b.until(`document.querySelector("#figures")`)
	}
}
