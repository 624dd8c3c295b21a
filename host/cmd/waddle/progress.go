package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// progress shows on standard error how far a long command is. On a terminal it is a
// bar with the rate and the time left, as wide as the window is at the moment. Anywhere
// else it is a line every ten seconds, so that a command that ends sooner is quiet. It
// has no colours. Its methods may be called by many goroutines.
type progress struct {
	w     io.Writer
	width func() int // of the terminal; nil if it is none
	now   func() time.Time
	label string

	mu          sync.Mutex
	done, total int64
	part, parts int64   // of the work, where the total of what is counted is not known
	rate        float64 // in a second, over the last few
	rated       int64   // what was done when the rate was measured
	ratedAt     time.Time
	shownAt     time.Time
	begun       time.Time
	drawn       int // columns of the bar that are on the screen
}

const (
	// quietInterval is the time between lines where there is no terminal.
	quietInterval = 10 * time.Second

	// rateSpan is about the time over which the rate is an average.
	rateSpan = 5 * time.Second

	barWidth   = 30 // columns, at most
	leastWidth = 20 // of a terminal, for a bar
)

// newProgress begins to tell how much of a total is done. A total of 0 is unknown: then
// there are only numbers, and a bar if Part is called. The label says what is done, such as "checking".
func newProgress(env *environment, label string, total int64) *progress {
	p := &progress{w: env.stderr, now: time.Now, label: label, total: max(total, 0)}
	if f, ok := env.stderr.(*os.File); ok && lookup(env.variables, "TERM") != "dumb" && term.IsTerminal(int(f.Fd())) {
		p.width = func() int {
			columns, _, err := term.GetSize(int(f.Fd()))
			if err != nil || columns <= 0 {
				return 80
			}
			return columns
		}
	}
	p.begin()
	return p
}

func (p *progress) begin() {
	p.begun = p.now()
	p.ratedAt, p.shownAt = p.begun, p.begun
}

// Add counts n more as done.
func (p *progress) Add(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done += n
	p.show(p.now())
}

// Skip counts n as done that an earlier run did: they do not count for the rate.
func (p *progress) Skip(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done += n
	p.rated += n
}

// SetTotal changes the total, for a command that learns it on its way.
func (p *progress) SetTotal(total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total = max(total, 0)
}

// Part tells how much of the work is done, for a command that does not know how many of
// what it counts there are.
func (p *progress) Part(part, parts int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.part, p.parts = part, max(parts, 0)
	p.show(p.now())
}

// Next begins another part of the command, with a label and total of its own.
func (p *progress) Next(label string, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.label, p.total = label, max(total, 0)
	p.done, p.rated, p.rate, p.part, p.parts = 0, 0, 0, 0, 0
	p.begun = p.now()
	p.ratedAt = p.begun
}

// Note writes a line of its own, which stays.
func (p *progress) Note(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	fmt.Fprintf(p.w, format+"\n", args...)
}

// Done removes the bar. It may be called twice.
func (p *progress) Done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
}

func (p *progress) erase() {
	if p.drawn > 0 {
		fmt.Fprintf(p.w, "\r%*s\r", p.drawn, "")
		p.drawn = 0
	}
}

func (p *progress) show(now time.Time) {
	interval := quietInterval
	if p.width != nil {
		interval = statusInterval
	}
	if now.Sub(p.shownAt) < interval {
		return
	}
	p.measure(now)
	p.shownAt = now
	if p.width == nil {
		fmt.Fprintf(p.w, "waddle: %s: %s\n", p.label, p.numbers())
		return
	}
	columns := p.width() - 1 // the last column would make some terminals begin a new line
	text := p.bar(columns)
	length := len([]rune(text))
	// A bar that was longer is overwritten, unless the window has become too narrow for it.
	fmt.Fprintf(p.w, "\r%s%s", text, strings.Repeat(" ", max(0, min(p.drawn, columns)-length)))
	p.drawn = length
}

// measure brings the rate up to date. Older figures count less and less.
func (p *progress) measure(now time.Time) {
	passed := now.Sub(p.ratedAt)
	if passed <= 0 {
		return
	}
	recent := float64(p.done-p.rated) / passed.Seconds()
	weight := 1 - math.Exp(-passed.Seconds()/rateSpan.Seconds())
	if p.ratedAt.Equal(p.begun) {
		weight = 1
	}
	p.rate += weight * (recent - p.rate)
	p.rated, p.ratedAt = p.done, now
}

// bar returns a line of at most so many columns. In a narrow window the drawing is left
// out first, then the end of the numbers.
func (p *progress) bar(columns int) string {
	text := p.label + "  " + p.numbers()
	room := columns - len([]rune(text)) - 4
	done, total := p.work()
	if width := min(room, barWidth); total > 0 && width >= 5 && columns >= leastWidth {
		full := int(int64(width) * min(done, total) / total)
		text = p.label + "  [" + strings.Repeat("#", full) + strings.Repeat("-", width-full) + "]  " + p.numbers()
	}
	if runes := []rune(text); len(runes) > columns {
		return string(runes[:max(columns, 0)])
	}
	return text
}

// work is how much there is to do and done, as far as it is known.
func (p *progress) work() (done, total int64) {
	if p.total == 0 {
		return p.part, p.parts
	}
	return p.done, p.total
}

func (p *progress) numbers() string {
	done, total := p.work()
	counted := fmt.Sprintf("%s, %s/s", grouped(p.done), grouped(int64(p.rate)))
	if total == 0 {
		return counted
	}
	text := fmt.Sprintf("%d%%", 100*min(done, total)/total)
	switch {
	case p.total > 0:
		text += fmt.Sprintf("  %s of %s, %s/s", grouped(p.done), grouped(p.total), grouped(int64(p.rate)))
	case p.done > 0:
		text += "  " + counted
	}
	if left := p.left(); left >= 0 {
		text += fmt.Sprintf(", %v left", left)
	}
	return text
}

// left estimates the time that is left, or returns less than 0.
func (p *progress) left() time.Duration {
	const longest = 100 * time.Hour
	done, total := p.work()
	rate := p.rate
	if passed := p.ratedAt.Sub(p.begun).Seconds(); p.total == 0 && passed > 0 {
		rate = float64(done) / passed // parts differ: only the average tells something
	}
	if rate <= 0 || done > total {
		return -1
	}
	seconds := float64(total-done) / rate
	if seconds > longest.Seconds() {
		return -1
	}
	return (time.Duration(seconds*float64(time.Second)) + time.Second - 1).Truncate(time.Second)
}

// grouped writes a number with a comma before every three digits.
func grouped(n int64) string {
	text, sign := strconv.FormatInt(n, 10), ""
	if n < 0 {
		text, sign = text[1:], "-"
	}
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return sign + text
}
