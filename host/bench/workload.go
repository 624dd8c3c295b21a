package main

import (
	"fmt"
	"strings"
	"sync/atomic"
)

// operation is what a request does with its session.
type operation int

const (
	opUnused  operation = iota // does not touch the session
	opRead                     // reads two of the values
	opWrite                    // reads two of the values and changes one
	opInspect                  // reads all values, for verification; never measured
	operations
)

// measured are the operations that are timed.
var measured = []operation{opUnused, opRead, opWrite}

func (o operation) String() string {
	return [...]string{"unused", "read", "write", "inspect"}[o]
}

// The values of every session: four strings and a counter. One is the visitor's
// own name, so that a mixed-up session is noticed.
const (
	keyUser   = "user"
	keyTheme  = "theme"
	keyLocale = "locale"
	keyCSRF   = "csrf"
	keyCount  = "count"

	valueTheme  = "solarized-dark"
	valueLocale = "en-GB"
	valueCSRF   = "c2Vzc2lvbnMgYXJlIGJ5dGVzIHVuZGVyIGEga2V5LiE"
)

func userName(n int) string { return fmt.Sprintf("user-%05d@example.org", n) }

// pageUnused is the answer of a page that does not use the session. The other
// pages answer with the visitor's name, which has about this length.
const pageUnused = "a page for everybody!!"

// inspection is the answer of the page of opInspect.
func inspection(user, theme, locale, csrf string, count int) string {
	return fmt.Sprintf("%s|%s|%s|%s|%d", user, theme, locale, csrf, count)
}

// expected is the inspection of a correct session.
func expected(user string, count int) string {
	return inspection(user, valueTheme, valueLocale, valueCSRF, count)
}

// faults collects what handlers find wrong, since nobody looks at their
// answers.
type faults struct {
	n     atomic.Int64
	first atomic.Pointer[error]
}

func (f *faults) note(err error) {
	f.n.Add(1)
	f.first.CompareAndSwap(nil, &err)
}

// err returns the first fault.
func (f *faults) err() error {
	if n := f.n.Load(); n > 0 {
		return fmt.Errorf("%d requests went wrong, the first with: %w", n, *f.first.Load())
	}
	return nil
}

// checkRead checks what the page of opRead got.
func (f *faults) checkRead(user, csrf string) {
	if !strings.HasPrefix(user, "user-") || csrf != valueCSRF {
		f.note(fmt.Errorf("read user %q and csrf %q", user, csrf))
	}
}

// checkWrite checks what the page of opWrite got.
func (f *faults) checkWrite(user string, count int) {
	if !strings.HasPrefix(user, "user-") || count < 0 {
		f.note(fmt.Errorf("read user %q and count %d", user, count))
	}
}
