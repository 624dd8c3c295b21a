package site

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"docs/browser"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// tab is a browser in a test.
type tab struct {
	*browser.Tab
	t *testing.T
}

func openTab(t *testing.T) *tab {
	t.Helper()
	b, err := browser.Open(t.TempDir())
	if errors.Is(err, browser.ErrMissing) && os.Getenv("CI") != "true" {
		t.Skip("SKIPPED: " + err.Error())
	}
	require.NoError(t, err)
	t.Cleanup(b.Close)
	return &tab{b, t}
}

// open loads a page, which must complain of nothing.
func (b *tab) open(address string) {
	b.t.Helper()
	require.NoError(b.t, b.Do(chromedp.Navigate(address)))
	require.NoError(b.t, b.Problems(), address)
}

func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	v, err := browser.Get(b.Tab, chromedp.Evaluate[T](expression))
	require.NoError(b.t, err)
	return v
}

// fill types a text into an empty field, key by key.
func (b *tab) fill(selector, text string) {
	b.t.Helper()
	eval[string](b, fmt.Sprintf(`document.querySelector(%q).value = ""`, selector))
	require.NoError(b.t, b.Do(chromedp.SendKeys(chromedp.CSS(selector), text)))
}

// seen is what a loaded page tells of itself.
type seen struct {
	Title string   `json:"title"`
	IDs   []string `json:"ids"`
	Links []string `json:"links"`
	Heads int      `json:"heads"`
	Wide  int      `json:"wide"`
	Blank []string `json:"blank"`
}

const look = `({
  title: document.title,
  ids: [...document.querySelectorAll("[id]")].map((e) => e.id),
  links: [...document.querySelectorAll("a[href]")].map((a) => a.href),
  heads: document.querySelectorAll("h1").length,
  wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  blank: [...document.images].filter((i) => !i.complete || i.naturalWidth === 0).map((i) => i.src),
})`

// TestPagesInABrowser loads every page on a narrow screen, and follows every link between
// them: its page and its anchor are there.
func TestPagesInABrowser(t *testing.T) {
	b := openTab(t)
	out := buildHere(t)
	server := httptest.NewServer(http.FileServer(http.Dir(out)))
	t.Cleanup(server.Close)
	require.NoError(t, b.Size(360, 800, 1))

	pages := map[string]*seen{}
	for _, name := range htmlFiles(t, out) {
		b.open(server.URL + "/" + name)
		p := eval[*seen](b, look)
		require.NotEmpty(t, p.Title, name)
		require.Equal(t, 1, p.Heads, "%s has %d headings of the first level, want 1", name, p.Heads)
		require.LessOrEqual(t, p.Wide, 0, "%s is %d pixels wider than a screen of 360", name, p.Wide)
		require.Empty(t, p.Blank, "%s shows pictures that do not load", name)
		ids := map[string]bool{}
		for _, id := range p.IDs {
			require.False(t, ids[id], "%s has the anchor %s twice", name, id)
			ids[id] = true
		}
		pages[server.URL+"/"+name] = p
	}
	followed := 0
	for from, p := range pages {
		for _, link := range p.Links {
			page, fragment, _ := strings.Cut(link, "#")
			if strings.HasSuffix(page, "/") {
				page += "index.html" // the server sends visitors of that to the directory
			}
			if !strings.HasPrefix(page, server.URL) {
				require.True(t, strings.HasPrefix(page, "https://"), "%s links to %s", from, link)
				continue
			}
			followed++
			to := pages[page]
			require.NotNil(t, to, "%s links to %s, which is no page", from, link)
			if fragment != "" {
				id, err := url.PathUnescape(fragment)
				require.NoError(t, err)
				require.True(t, slices.Contains(to.IDs, id), "%s links to %s, and there is no such anchor", from, link)
			}
		}
	}
	require.Greater(t, followed, 1000)
}

func htmlFiles(t *testing.T, out string) (names []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(out, func(name string, _ fs.DirEntry, err error) error {
		if filepath.Ext(name) == ".html" {
			rel, err := filepath.Rel(out, name)
			require.NoError(t, err)
			names = append(names, filepath.ToSlash(rel))
		}
		return err
	}))
	return names
}

// TestSearchInABrowser uses the search as a visitor would, over HTTP and from files, in
// both themes.
func TestSearchInABrowser(t *testing.T) {
	b := openTab(t)
	out := buildHere(t)
	server := httptest.NewServer(http.FileServer(http.Dir(out)))
	t.Cleanup(server.Close)
	files := url.URL{Scheme: "file", Path: filepath.ToSlash(out)}
	require.NoError(t, b.Size(1280, 900, 1))
	grounds := map[string]bool{}
	for i, base := range []string{server.URL, files.String()} {
		require.NoError(t, b.Theme([]string{"light", "dark"}[i]))
		b.open(base + "/host/session/index.html")
		grounds[eval[string](b, `getComputedStyle(document.body).backgroundColor`)] = true
		require.NoError(t, b.Do(chromedp.KeyEvent("/")))
		require.True(t, eval[bool](b, `document.activeElement.id === "query"`))
		for _, c := range []struct{ query, want string }{
			{"xyzzy plugh", "Nothing has all these words."},
			{"samesite", "SameSite"},
			{"session.reload", "Reload"},
		} {
			b.fill("#query", c.query)
			require.NoError(t, b.Until(fmt.Sprintf(`!results.hidden && results.textContent.includes(%q)`, c.want)), c.query)
		}
		require.Contains(t, eval[string](b, `document.querySelector("#results b").textContent`), "Reload")
		require.NoError(t, b.Do(chromedp.KeyEvent("\r")))
		require.NoError(t, b.Until(`/\/api\/host\/session\/(index\.html)?$/.test(location.pathname)`))
		require.Equal(t, "#Session.Reload", eval[string](b, `location.hash`))
		require.NoError(t, b.Problems())
	}
	require.Len(t, grounds, 2, "found the same background in both themes")
}
