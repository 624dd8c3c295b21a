package browsertest

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	cdpruntime "github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/storage"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// patience bounds every wait for the browser. It measures nothing.
const patience = time.Minute

// chromium returns the path of the browser, or ends the test.
func chromium(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("CHROMIUM"); path != "" {
		return path
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "headless-shell"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const missing = "no Chromium in PATH; install it (Debian: apt-get install chromium) or set CHROMIUM to its path"
	if os.Getenv("CI") == "true" {
		t.Fatal(missing)
	}
	t.Skip("SKIPPED: " + missing)
	return ""
}

var program struct {
	once sync.Once
	dir  string
	path string
	err  error
}

// waddle returns the path of the program, built once for all tests.
func waddle(t *testing.T) string {
	t.Helper()
	program.once.Do(func() {
		if program.dir, program.err = os.MkdirTemp("", "browsertest"); program.err != nil {
			return
		}
		program.path = filepath.Join(program.dir, "waddle")
		if runtime.GOOS == "windows" {
			program.path += ".exe"
		}
		build := exec.Command("go", "build", "-o", program.path, "./host/cmd/waddle")
		build.Dir = filepath.Join("..", "..", "..", "..", "..", "..")
		if out, err := build.CombinedOutput(); err != nil {
			program.err = fmt.Errorf("%w: %s", err, out)
		}
	})
	require.NoError(t, program.err)
	return program.path
}

func TestMain(m *testing.M) {
	code := m.Run()
	if program.dir != "" {
		_ = os.RemoveAll(program.dir)
	}
	os.Exit(code)
}

// serve runs the program on a free port, with settings in its environment, and
// returns its address.
func serve(t *testing.T, settings ...string) string {
	t.Helper()
	cmd := exec.Command(waddle(t), "run", "--addr", "127.0.0.1:0")
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "SESSION_") && !strings.HasPrefix(v, "WADDLE_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, settings...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err, "the program ended before it listened")
	address := regexp.MustCompile(`http://\S+`).FindString(line)
	require.NotEmpty(t, address, "the program said %q", line)
	return address
}

// tab is a page in a browser of its own, without any cookies.
type tab struct {
	t       *testing.T
	context context.Context
	address string

	mu       sync.Mutex
	problems []string
}

func open(t *testing.T, settings ...string) *tab {
	t.Helper()
	b := &tab{t: t, address: serve(t, settings...)}
	b.start()
	b.do(chromedp.Navigate(b.address))
	b.until(spoke)
	return b
}

// start starts the browser.
func (b *tab) start() {
	t := b.t
	t.Helper()
	path := chromium(t)
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("headless", "new"),
		chromedp.NoSandbox, // it fails in most containers, and the page is our own
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.WindowSize(1280, 900),
	)
	allocator, stopAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, stop := chromedp.NewContext(allocator, chromedp.WithListener(b.listen))
	b.context = ctx
	t.Cleanup(func() {
		closing, cancel := context.WithTimeout(ctx, patience)
		_ = chromedp.Cancel(closing) // waits until the browser has ended
		cancel()
		stop()
		stopAllocator()
	})
	require.NoError(t, chromedp.Do(ctx), "the browser does not start")
	call(b, log.Enable, cdp.Empty{})
}

// spoke is true when the page has loaded its session and reported it.
const spoke = `document.querySelector("#status")?.textContent`

// listen records the browser's complaints: exceptions, and violations of the page's
// own Content-Security-Policy.
func (b *tab) listen(event any) {
	var problem string
	switch e := event.(type) {
	case *cdpruntime.EventExceptionThrown:
		problem = (&chromedp.ExceptionError{ExceptionDetails: e.ExceptionDetails}).Error()
	case *log.EventEntryAdded:
		// The browser also logs a status of 4xx, which tests may expect.
		if e.Entry.Level == log.EntryLevelError && e.Entry.Source != log.EntrySourceNetwork {
			problem = e.Entry.Text
		}
	}
	if problem != "" {
		b.mu.Lock()
		b.problems = append(b.problems, problem)
		b.mu.Unlock()
	}
}

func (b *tab) noProblems() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Empty(b.t, b.problems)
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.context, patience)
	defer cancel()
	require.NoError(b.t, chromedp.Do(ctx, steps...))
}

// get runs an action and returns its result.
func get[T any](b *tab, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.context, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, action)
	require.NoError(b.t, err)
	return v
}

// call runs a command of the DevTools protocol.
func call[P, R any](b *tab, command cdp.Command[P, R], params P) R {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.context, patience)
	defer cancel()
	r, err := chromedp.Call(ctx, command, params)
	require.NoError(b.t, err)
	return r
}

// eval returns the value of an expression in the page.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	return get(b, chromedp.Evaluate[T](expression))
}

// until waits until an expression is true.
func (b *tab) until(expression string) {
	b.t.Helper()
	for began := time.Now(); !eval[bool](b, "!!("+expression+")"); time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > patience {
			require.FailNow(b.t, "waited in vain", "for %s; the page says %q", expression, b.text("#status"))
		}
	}
}

// said waits until the page reports a text.
func (b *tab) said(text string) {
	b.t.Helper()
	b.until(fmt.Sprintf(`document.querySelector("#status").textContent.includes(%q)`, text))
}

// fill types a text into an empty field, key by key.
func (b *tab) fill(selector, text string) {
	b.t.Helper()
	eval[string](b, fmt.Sprintf(`document.querySelector(%q).value = ""`, selector))
	b.do(chromedp.SendKeys(chromedp.CSS(selector), text))
}

func (b *tab) click(selector string) {
	b.t.Helper()
	b.do(chromedp.Click(chromedp.CSS(selector)))
}

func (b *tab) text(selector string) string {
	b.t.Helper()
	return eval[string](b, fmt.Sprintf(`document.querySelector(%q)?.textContent ?? "(no element)"`, selector))
}

// values returns the rows of the table.
func (b *tab) values() map[string]string {
	b.t.Helper()
	return eval[map[string]string](b, `Object.fromEntries([...document.querySelectorAll("#values tr")].map((row) => [row.cells[0].textContent, row.cells[1].textContent]))`)
}

// cookies returns all cookies in the browser, whatever they are for.
func (b *tab) cookies() []*network.Cookie {
	b.t.Helper()
	return call(b, storage.GetCookies, storage.GetCookiesParams{}).Cookies
}
