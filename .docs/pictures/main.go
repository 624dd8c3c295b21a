// Command pictures takes the pictures of the playground and of the tenants' page, from
// the real program in a real browser:
//
//	go run ./pictures -waddle ../bin/waddle -out ../host/cmd/waddle/pictures
package main

import (
	"bytes"
	"flag"
	"fmt"
	"image/png"
	"os"
	"path/filepath"

	"docs/browser"

	"github.com/chromedp/chromedp"
)

// The size of a picture, in pixels.
const width, height = 1200, 860

func main() {
	waddle := flag.String("waddle", "../bin/waddle", "the program")
	out := flag.String("out", "../host/cmd/waddle/pictures", "the directory of the pictures")
	flag.Parse()
	if err := take(*waddle, *out); err != nil {
		fmt.Fprintln(os.Stderr, "pictures:", err)
		os.Exit(1)
	}
}

func take(waddle, out string) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "pictures")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	b, err := browser.Open(filepath.Join(scratch, "profile"))
	if err != nil {
		return err
	}
	defer b.Close()
	if err := b.Size(width, height, 1); err != nil {
		return err
	}
	s := shooting{b, waddle, scratch, out}
	if err := s.playground(); err != nil {
		return fmt.Errorf("the playground: %w", err)
	}
	if err := s.tenants(); err != nil {
		return fmt.Errorf("the tenants' page: %w", err)
	}
	return b.Problems()
}

// shooting has what taking the pictures needs.
type shooting struct {
	*browser.Tab
	waddle, scratch, out string
}

func (s *shooting) playground() error {
	p, err := start(s.waddle, s.scratch, 1, "run", "--addr", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer p.stop()
	const status = `document.querySelector("#status").textContent`
	said := func(text string) error { return s.Until(fmt.Sprintf("%s.includes(%q)", status, text)) }
	if err := s.Do(chromedp.Navigate(p.addresses[0])); err != nil {
		return err
	}
	if err := s.Until(status); err != nil {
		return err
	}
	for _, value := range []struct{ key, value string }{{"cart", `["duck", "pond"]`}, {"theme", "dark"}} {
		if err := s.fill("#key", value.key); err != nil {
			return err
		}
		if err := s.fill("#value", value.value); err != nil {
			return err
		}
		if err := s.Do(chromedp.Click(chromedp.CSS("#set"))); err != nil {
			return err
		}
		if err := said(value.key); err != nil {
			return err
		}
	}
	if err := s.fill("#user", "ada"); err != nil {
		return err
	}
	if err := s.Do(chromedp.Click(chromedp.CSS("#login"))); err != nil {
		return err
	}
	if err := s.Until(`document.querySelector("#greeting").textContent.includes("ada") && document.querySelector("#devices li")`); err != nil {
		return err
	}
	return s.shoot("playground")
}

func (s *shooting) tenants() error {
	dir := filepath.Join(s.scratch, "tenants")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for name, engine := range map[string]string{"alice": "memory", "bob": "keyfolder", "carol": "dynfile"} {
		manifest := fmt.Sprintf(`{"name": %q, "hosts": ["%[1]s.localhost"], "plugin": {"bundled": %q}, "persist": true}`, name, engine)
		if err := os.WriteFile(filepath.Join(dir, name+".json"), []byte(manifest), 0o600); err != nil {
			return err
		}
	}
	p, err := start(s.waddle, s.scratch, 2, "host", dir, "--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer p.stop()
	for visits, name := range []string{"alice", "bob", "carol"} {
		if err := visit(p.addresses[0], name+".localhost", 40*visits+20); err != nil {
			return err
		}
	}
	token, err := os.ReadFile(filepath.Join(dir, ".admin-token"))
	if err != nil {
		return err
	}
	if err := s.Size(width, 620, 1); err != nil {
		return err
	}
	if err := s.Do(chromedp.Navigate(p.addresses[1]), chromedp.SendKeys(chromedp.CSS("#token"), string(bytes.TrimSpace(token))),
		chromedp.Click(chromedp.CSS("main button"))); err != nil {
		return err
	}
	if err := s.Until(`document.querySelectorAll("tbody tr").length === 3`); err != nil {
		return err
	}
	return s.shoot("tenants")
}

// fill types a text into an empty field.
func (s *shooting) fill(selector, text string) error {
	if _, err := browser.Get(s.Tab, chromedp.Evaluate[string](fmt.Sprintf(`document.querySelector(%q).value = ""`, selector))); err != nil {
		return err
	}
	return s.Do(chromedp.SendKeys(chromedp.CSS(selector), text))
}

// shoot writes what the browser shows as a picture.
func (s *shooting) shoot(name string) error {
	if _, err := browser.Get(s.Tab, chromedp.Evaluate[bool](`document.activeElement.blur(), scrollTo(0, 0), true`)); err != nil {
		return err
	}
	taken, err := browser.Get(s.Tab, chromedp.CaptureScreenshot())
	if err != nil {
		return err
	}
	picture, err := png.Decode(bytes.NewReader(taken))
	if err != nil {
		return err
	}
	var small bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(&small, fewer(picture)); err != nil {
		return err
	}
	file := filepath.Join(s.out, name+".png")
	fmt.Printf("%s: %d KiB\n", file, small.Len()>>10)
	return os.WriteFile(file, small.Bytes(), 0o644)
}
