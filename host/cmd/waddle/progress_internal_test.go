package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// screen is what a terminal shows of one line.
type screen struct {
	bytes.Buffer
	columns int
}

func (s *screen) line() string {
	line, at := make([]rune, 0, 200), 0
	for _, r := range s.String() {
		switch r {
		case '\n':
			line, at = line[:0], 0
		case '\r':
			at = 0
		default:
			if at == len(line) {
				line = append(line, ' ')
			}
			line[at] = r
			at++
		}
	}
	return strings.TrimRight(string(line), " ")
}

// last is what was drawn last.
func (s *screen) last() string { return s.String()[strings.LastIndex(s.String(), "\r")+1:] }

// steps is a clock that goes only when it is told.
type steps struct{ at time.Time }

func (s *steps) now() time.Time       { return s.at }
func (s *steps) pass(d time.Duration) { s.at = s.at.Add(d) }
func (s *screen) progress(c *steps, total int64) *progress {
	p := &progress{w: s, now: c.now, label: "moving", total: total}
	if s.columns > 0 {
		p.width = func() int { return s.columns }
	}
	p.begin()
	return p
}

func TestProgressOnATerminal(t *testing.T) {
	clock, s := &steps{time.Unix(1e9, 0)}, &screen{columns: 80}
	p := s.progress(clock, 10_000)
	p.Add(1)
	require.Empty(t, s.String(), "a command that ends at once shows nothing")
	clock.pass(time.Second)
	p.Add(2499)
	require.Equal(t, "moving  [#######----------------------]  25%  2,500 of 10,000, 2,500/s, 3s left", s.line())
	shown := s.Len()
	p.Add(1)
	require.Equal(t, shown, s.Len(), "it does not change more often than can be read")
	clock.pass(time.Second)
	p.Add(1249)
	require.Regexp(t, `\] +37%  3,750 of 10,000, 2,\d{3}/s, 3s left$`, s.line(), "the rate falls slowly")

	s.columns = 60
	clock.pass(time.Second)
	p.Add(1)
	require.Less(t, len(s.last()), 60, "a window that became narrower: the bar is shorter")
	require.Contains(t, s.last(), "[#")
	s.columns = 30
	clock.pass(time.Second)
	p.Add(1)
	require.Equal(t, "moving  37%  3,752 of 10,000,", s.last())

	p.Note("waddle: a line that stays")
	require.Contains(t, s.String(), "\rwaddle: a line that stays\n")
	s.columns = 80
	clock.pass(time.Second)
	p.Add(6248)
	require.Contains(t, s.line(), "#]  100%  10,000 of 10,000", "nothing is left of it")
	p.Done()
	require.Empty(t, s.line())
	ended := s.Len()
	p.Done()
	require.Equal(t, ended, s.Len())
}

func TestProgressElsewhere(t *testing.T) {
	clock, s := &steps{time.Unix(1e9, 0)}, &screen{}
	p := s.progress(clock, 100)
	p.Skip(50)
	for range 25 {
		clock.pass(time.Second)
		p.Add(1)
	}
	p.Done()
	require.Equal(t, "waddle: moving: 60%  60 of 100, 1/s, 40s left\nwaddle: moving: 70%  70 of 100, 1/s, 30s left\n", s.String(),
		"a line every ten seconds; what an earlier run did does not count for the rate")

	s.Reset()
	p = s.progress(clock, 0)
	clock.pass(10 * time.Second)
	p.Add(12_345)
	p.SetTotal(1_000_000_000_000)
	clock.pass(10 * time.Second)
	p.Add(1)
	require.Equal(t, "waddle: moving: 12,345, 1,234/s\n", s.String()[:len("waddle: moving: 12,345, 1,234/s\n")])
	require.NotContains(t, s.String(), "left", "nobody waits for years")
}

// TestProgressByParts: where nobody knows how many records there are, the bar shows how
// much of the work is done.
func TestProgressByParts(t *testing.T) {
	clock, s := &steps{time.Unix(1e9, 0)}, &screen{columns: 80}
	p := s.progress(clock, 0)
	clock.pass(time.Second)
	p.Part(250, 1000)
	require.Equal(t, "moving  [#######-----------------------]  25%, 3s left", s.line(), "before the first record")
	p.Add(100)
	clock.pass(time.Second)
	p.Part(500, 1000)
	require.Regexp(t, `^moving  \[#{15}-{15}\]  50%  100, \d+/s, 2s left$`, s.line())
	p.Next("comparing", 0)
	clock.pass(time.Second)
	p.Add(7)
	require.Equal(t, "comparing  7, 7/s", s.line(), "nothing is known of the next part")
	p.Part(1, 0)
	clock.pass(time.Second)
	p.Add(7)
	require.NotContains(t, s.last(), "%")
	p.Done()
	require.Empty(t, s.line())
}

func TestProgressWithoutATerminal(t *testing.T) {
	var b bytes.Buffer
	p := newProgress(&environment{stderr: &b}, "checking", 10)
	require.Nil(t, p.width)
	p.Add(10)
	p.Done()
	require.Empty(t, b.String())
}

func TestGrouped(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1234567: "-1,234,567", 100_000: "100,000"} {
		require.Equal(t, want, grouped(n))
	}
}
