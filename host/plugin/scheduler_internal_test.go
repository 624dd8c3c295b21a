package plugin

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func eventually(t *testing.T, f func() bool, what string) {
	t.Helper()
	require.Eventually(t, f, time.Minute, time.Millisecond, what)
}

// One goroutine waits for the tasks, however many there are, and none if there are
// none.
func TestSchedulerIsOneGoroutine(t *testing.T) {
	before := runtime.NumGoroutine()
	s := newScheduler()
	var tasks []*task
	for range 1000 {
		task := s.make(time.Hour, func() {})
		s.resume(task)
		s.resume(task)
		tasks = append(tasks, task)
	}
	require.Equal(t, 1000, s.count())
	require.LessOrEqual(t, runtime.NumGoroutine(), before+1)
	for _, task := range tasks {
		s.pause(task)
		s.pause(task)
	}
	require.Zero(t, s.count())
	// require.Eventually would start goroutines of its own.
	for end := time.Now().Add(time.Minute); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		require.True(t, time.Now().Before(end), "it ends")
	}
}

func TestSchedulerDoesTasksAgainAndAgain(t *testing.T) {
	s := newScheduler()
	var often, seldom, once atomic.Int64
	first := s.make(time.Millisecond, func() { often.Add(1) })
	second := s.make(time.Hour, func() { seldom.Add(1) })
	third := s.make(0, func() { once.Add(1) })
	for _, task := range []*task{second, first, third} {
		s.resume(task)
	}
	eventually(t, func() bool { return often.Load() > 20 && once.Load() == 1 }, "done")
	require.Zero(t, seldom.Load())
	require.EqualValues(t, 1, once.Load())
	s.resume(third)
	eventually(t, func() bool { return once.Load() == 2 }, "each time that it is resumed")

	s.pause(first)
	first.wait()
	n := often.Load()
	time.Sleep(20 * time.Millisecond)
	require.Equal(t, n, often.Load(), "not after it was paused")
	s.resume(first)
	eventually(t, func() bool { return often.Load() > n }, "and again when it is resumed")
	s.pause(first)
	s.pause(second)
}

// A task never runs twice at once, skips what it missed, and wait waits while it runs.
func TestSchedulerTaskThatIsLate(t *testing.T) {
	s := newScheduler()
	var running, most, done atomic.Int64
	task := s.make(time.Millisecond, func() {
		most.Store(max(most.Load(), running.Add(1)))
		time.Sleep(20 * time.Millisecond)
		running.Add(-1)
		done.Add(1)
	})
	s.resume(task)
	eventually(t, func() bool { return running.Load() > 0 }, "it runs")
	s.pause(task)
	s.resume(task) // while it runs
	eventually(t, func() bool { return done.Load() > 3 }, "it goes on")
	s.pause(task)
	task.wait()
	require.Zero(t, running.Load())
	require.EqualValues(t, 1, most.Load())
}

// Tasks that hang do not keep others from running, and only so many others run at
// once.
func TestSchedulerTasksThatHang(t *testing.T) {
	s := newScheduler()
	hang := make(chan struct{})
	var hanging, running, most, done atomic.Int64
	var tasks []*task
	for range 3 * cap(s.turns) {
		task := s.make(time.Millisecond, func() {
			hanging.Add(1)
			<-hang
		})
		tasks = append(tasks, task)
	}
	for range 100 {
		task := s.make(time.Millisecond, func() {
			n := running.Add(1)
			for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
			}
			time.Sleep(100 * time.Microsecond)
			running.Add(-1)
			done.Add(1)
		})
		tasks = append(tasks, task)
	}
	for _, task := range tasks {
		s.resume(task)
	}
	eventually(t, func() bool { return int(hanging.Load()) == 3*cap(s.turns) && done.Load() > 300 }, "done beside those that hang")
	require.LessOrEqual(t, int(most.Load()), cap(s.turns))
	for _, task := range tasks {
		s.pause(task)
	}
	close(hang)
	for _, task := range tasks {
		task.wait()
	}
}
