package browsertest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// The page fits every width, in both colour schemes, with nothing cut off.
func TestPage(t *testing.T) {
	b := open(t, "WADDLE_SECRET=0123456789abcdef0123456789abcdef fedcba9876543210fedcba9876543210", "SESSION_IDLE_TIMEOUT=12h", "SESSION_COOKIE_SECURE=auto")
	long := "a-key-with-quite-a-long-name-" + fmt.Sprintf("%080d", 7)
	for _, v := range [][2]string{
		{"theme", "dark"},
		{"basket", `{"items":[{"sku":"DUCK-1","count":2},{"sku":"POND-9","count":1}],"total":4990}`},
		{"order", "9007199254740993"},
		{long, fmt.Sprintf("%0400d", 1)},
	} {
		b.fill("#key", v[0])
		b.fill("#value", v[1])
		b.click("#set")
		b.said(v[0] + " is set")
	}
	b.fill("#key", "visits")
	b.click("#increment")
	b.said("visits is now 1")

	look := func(name string) {
		for _, scheme := range []string{"light", "dark"} {
			for _, width := range []int64{1280, 800, 390, 320} {
				call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
					{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
				b.do(chromedp.EmulateViewport(width, 900))
				require.LessOrEqual(t, eval[int64](b, "document.documentElement.scrollWidth"), width, "%s, %d px: the page scrolls sideways", name, width)
				require.Empty(t, eval[[]string](b, outside), "%s, %d px", name, width)
				require.Empty(t, eval[[]string](b, pale), "%s, %s", name, scheme)
				b.shoot(fmt.Sprintf("%s-%s-%d", name, scheme, width))
			}
		}
	}
	look("long")
	b.click(fmt.Sprintf(`#values [aria-label="Remove %s"]`, long))
	b.said("is removed")
	another(b, "ada", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) Version/18.5 Mobile/15E148 Safari/604.1")
	another(b, "ada", "an-agent-with-a-long-name-"+fmt.Sprintf("%080d", 7))
	b.fill("#user", "ada")
	b.click("#remember")
	b.click("#login")
	b.said("Welcome, ada")
	b.fill("#message", "Your order is on its way.")
	b.click("#leave")
	b.said("waits for the next page")
	b.click("#next")
	b.until(`document.querySelector("#messages li")`)
	b.until(spoke)
	b.click("#get-token")
	b.said("A token")
	b.click("summary")
	look("visit")
	b.click("#logout")
	b.said("Logged out")
	look("empty")
	b.noProblems()
}

// Every button and field has an accessible name.
func TestPageIsLabelled(t *testing.T) {
	b := open(t)
	b.fill("#key", "visits")
	b.click("#increment")
	b.said("visits is now 1")
	require.Empty(t, eval[[]string](b, `[...document.querySelectorAll("button, input, select, textarea")]
		.filter((e) => !(e.getAttribute("aria-label") || e.labels?.length || e.textContent.trim()))
		.map((e) => e.outerHTML)`))
	require.Equal(t, "polite", eval[string](b, `document.querySelector("[role=status]").ariaLive`))
	require.Equal(t, []string{"H1", "H2", "H2", "H2", "H2", "H2", "H2", "H2", "H2"}, eval[[]string](b, `[...document.querySelectorAll("h1,h2,h3")].map((h) => h.tagName)`))
	require.Equal(t, "en", eval[string](b, "document.documentElement.lang"))
	b.noProblems()
}

// outside lists the elements that extend beyond their card.
const outside = `[...document.querySelectorAll(".card *")].filter((e) => {
	const box = e.getBoundingClientRect(), card = e.closest(".card").getBoundingClientRect();
	return box.width > 1 && (box.left < card.left - 1 || box.right > card.right + 1);
}).map((e) => e.outerHTML.slice(0, 120))`

// pale lists the texts whose contrast is below 4.5, the minimum of the Web Content
// Accessibility Guidelines for ordinary text.
const pale = `(() => {
	const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
	const rgba = (colour) => {
		canvas.clearRect(0, 0, 1, 1);
		canvas.fillStyle = colour;
		canvas.fillRect(0, 0, 1, 1);
		return [...canvas.getImageData(0, 0, 1, 1).data];
	};
	const luminance = (c) => {
		const [r, g, b] = c.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const behind = (e) => {
		for (; e; e = e.parentElement) {
			const c = rgba(getComputedStyle(e).backgroundColor);
			if (c[3] === 255) return c;
		}
		return [255, 255, 255, 255];
	};
	const bad = [];
	for (const e of document.querySelectorAll("body *")) {
		const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
		if (!own || e.disabled || !e.checkVisibility() || e.closest("svg")) continue;
		const [a, b] = [luminance(rgba(getComputedStyle(e).color)), luminance(behind(e))].sort((x, y) => y - x);
		const ratio = (a + 0.05) / (b + 0.05);
		if (ratio < 4.5) bad.push(ratio.toFixed(2) + " " + e.outerHTML.slice(0, 120));
	}
	return bad;
})()`

// shoot leaves a picture of the whole page, if pictures are wanted.
func (b *tab) shoot(name string) {
	b.t.Helper()
	dir := os.Getenv("SCREENSHOTS")
	if dir == "" {
		return
	}
	picture := get(b, chromedp.FullScreenshot(100))
	require.NoError(b.t, os.MkdirAll(dir, 0o755))
	require.NoError(b.t, os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o644))
}
