package mount

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// slow is a sync that ends when it is told to.
type slow struct {
	begun chan struct{}
	ends  chan error
	calls int
}

func newSlow() *slow { return &slow{begun: make(chan struct{}, 9), ends: make(chan error, 9)} }

func (s *slow) sync() error {
	s.calls++
	s.begun <- struct{}{}
	return <-s.ends
}

func (s *slow) over(t *testing.T, b *behind, changes uint64) error {
	for range 10_000 {
		if over, err := b.ask(changes, s.sync); over {
			return err
		}
		time.Sleep(time.Millisecond)
	}
	require.Fail(t, "the sync does not end")
	return nil
}

var errDisk = errors.New("the disk")

func TestSyncInTheBackground(t *testing.T) {
	s, b := newSlow(), &behind{slots: make(chan struct{}, 1)}
	over, err := b.ask(1, s.sync)
	require.False(t, over)
	require.NoError(t, err)
	<-s.begun
	for range 3 {
		over, _ = b.ask(2, s.sync)
		require.False(t, over, "it runs")
	}
	s.ends <- errDisk
	require.Equal(t, errDisk, s.over(t, b, 2), "the outcome")
	require.Equal(t, 1, s.calls)

	over, _ = b.ask(2, s.sync)
	require.False(t, over, "the outcome is told once: this is another")
	s.ends <- nil
	require.NoError(t, s.over(t, b, 2))
	require.Equal(t, 2, s.calls)
}

// A sync that waits is for everything: one that runs is enough only if nothing was
// changed since it began.
func TestSyncWaitsForTheBackground(t *testing.T) {
	for _, c := range []struct {
		name       string
		begun, now uint64
		fails      bool
		more       int
	}{
		{"nothing changed", 5, 5, false, 0},
		{"changed meanwhile", 5, 6, false, 1},
		{"failed", 5, 5, true, 0},
		{"failed, and changed meanwhile", 5, 6, true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, b := newSlow(), &behind{slots: make(chan struct{}, 1)}
			_, _ = b.ask(c.begun, s.sync)
			<-s.begun
			more, ended := 0, make(chan error)
			go func() { ended <- syncAll(b, c.now, func() error { more++; return nil }) }()
			select {
			case <-ended:
				require.Fail(t, "it did not wait")
			case <-time.After(10 * time.Millisecond):
			}
			if c.fails {
				s.ends <- errDisk
				require.Equal(t, errDisk, <-ended)
			} else {
				s.ends <- nil
				require.NoError(t, <-ended)
			}
			require.Equal(t, c.more, more)
			require.NoError(t, syncAll(b, c.now, func() error { more++; return nil }))
			require.Equal(t, c.more+1, more, "none runs")
		})
	}
}

// No more run at once than the mount allows. The others wait their turn.
func TestSyncsInTheBackgroundAreBounded(t *testing.T) {
	slots := make(chan struct{}, 3)
	var all []*slow
	var running []*behind
	for range 8 {
		s, b := newSlow(), &behind{slots: slots}
		_, _ = b.ask(0, s.sync)
		all, running = append(all, s), append(running, b)
	}
	require.Eventually(t, func() bool { return len(slots) == 3 }, 10*time.Second, time.Millisecond)
	begun := 0
	for _, s := range all {
		begun += len(s.begun)
	}
	require.LessOrEqual(t, begun, 3)
	for _, s := range all {
		s.ends <- nil
	}
	for i, b := range running {
		require.NoError(t, all[i].over(t, b, 0))
	}
}
