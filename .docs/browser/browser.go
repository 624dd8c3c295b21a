// Package browser drives a headless Chromium: for the tests of the pages, and for the
// pictures of the program that documents show.
package browser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	cdpruntime "github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// ErrMissing is returned when there is no Chromium.
var ErrMissing = errors.New("no Chromium in PATH; install it (Debian: apt-get install chromium) or set CHROMIUM to its path")

// patience bounds every wait for the browser. It measures nothing.
const patience = time.Minute

// Tab is a page in a browser of its own.
type Tab struct {
	ctx  context.Context
	stop func()

	mu       sync.Mutex
	problems []string
}

// Open starts a browser with its profile in a directory. Close ends it.
func Open(profile string) (*Tab, error) {
	path := find()
	if path == "" {
		return nil, ErrMissing
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.UserDataDir(profile),
		chromedp.Flag("headless", "new"),
		chromedp.NoSandbox, // it fails in most containers, and the pages are the project's own
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
	)
	b := &Tab{}
	allocator, stopAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, stop := chromedp.NewContext(allocator, chromedp.WithListener(b.listen))
	b.ctx = ctx
	b.stop = func() {
		closing, cancel := context.WithTimeout(ctx, patience)
		_ = chromedp.Cancel(closing) // waits until the browser has ended
		cancel()
		stop()
		stopAllocator()
	}
	if err := chromedp.Do(ctx); err != nil {
		b.Close()
		return nil, fmt.Errorf("the browser does not start: %w", err)
	}
	if err := Call(b, log.Enable, cdp.Empty{}); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// Close ends the browser.
func (b *Tab) Close() { b.stop() }

func find() string {
	if path := os.Getenv("CHROMIUM"); path != "" {
		return path
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "headless-shell"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// listen records the browser's complaints: exceptions, and files that do not load.
func (b *Tab) listen(event any) {
	var problem string
	switch e := event.(type) {
	case *cdpruntime.EventExceptionThrown:
		problem = (&chromedp.ExceptionError{ExceptionDetails: e.ExceptionDetails}).Error()
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError {
			problem = e.Entry.Text + " " + e.Entry.URL
		}
	}
	if problem != "" {
		b.mu.Lock()
		b.problems = append(b.problems, problem)
		b.mu.Unlock()
	}
}

// Problems returns the browser's complaints so far.
func (b *Tab) Problems() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []error
	for _, p := range b.problems {
		all = append(all, errors.New(p))
	}
	return errors.Join(all...)
}

// Do runs actions.
func (b *Tab) Do(actions ...chromedp.Action[chromedp.Void]) error {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	return chromedp.Do(ctx, actions...)
}

// Get runs an action and returns its result.
func Get[T any](b *Tab, action chromedp.Action[T]) (T, error) {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	return chromedp.Run(ctx, action)
}

// Call runs a command of the DevTools protocol.
func Call[P, R any](b *Tab, command cdp.Command[P, R], params P) error {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	_, err := chromedp.Call(ctx, command, params)
	return err
}

// Size gives the page a screen.
func (b *Tab) Size(width, height int64, scale float64) error {
	return Call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: scale})
}

// Theme makes the visitor prefer light or dark.
func (b *Tab) Theme(name string) error {
	return Call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}},
	})
}

// Until waits until an expression in the page is true.
func (b *Tab) Until(expression string) error {
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		ok, err := Get(b, chromedp.Evaluate[bool]("!!("+expression+")"))
		if err != nil || ok {
			return err
		}
		if time.Since(began) > patience {
			return fmt.Errorf("waited in vain for %s", expression)
		}
	}
}
