package plugin

import (
	"container/heap"
	"runtime"
	"sync"
	"time"
)

// scheduler runs the tasks beside operations, for all plugins of a host: sweeping,
// saving, counting, going to sleep. It has one goroutine while there is something to
// do, and one more for each running task, a few at a time.
type scheduler struct {
	mu      sync.Mutex
	tasks   taskHeap
	running bool          // the goroutine runs
	changed chan struct{} // the first task has changed
	turns   chan struct{} // held by running tasks
	rounds  uint64        // how often a task ran
}

// task runs at intervals, or once each time it is resumed.
type task struct {
	every time.Duration // 0 for once
	run   func()
	until func() time.Duration // the next run, after one; nil for every

	// Guarded by the scheduler's mu.
	next    time.Time
	index   int // in the heap, -1 for none
	wanted  bool
	running bool

	pending sync.WaitGroup // while it runs
}

func newScheduler() *scheduler {
	return &scheduler{changed: make(chan struct{}, 1), turns: make(chan struct{}, max(4, 2*runtime.GOMAXPROCS(0)))}
}

// turnTime is how long a task counts towards the few that run at a time. A task that
// takes longer, because a guest hangs for instance, goes on beside them and keeps the
// tasks of other plugins waiting no longer.
const turnTime = time.Second

// make returns a paused task. Once resumed it runs at intervals, never twice at once.
// If it takes longer than the interval it runs late and skips what it missed. Without
// an interval it runs once, immediately.
func (s *scheduler) make(every time.Duration, f func()) *task {
	return &task{every: every, run: f, index: -1}
}

// resume starts a task that is paused.
func (s *scheduler) resume(t *task) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.wanted {
		return
	}
	t.wanted = true
	if !t.running {
		s.push(t, time.Now().Add(t.every))
	}
}

// pause stops a task. It does not wait for the task if it runs.
func (s *scheduler) pause(t *task) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.wanted = false
	if t.index >= 0 {
		heap.Remove(&s.tasks, t.index)
		s.notify()
	}
}

// wait waits until a paused task does not run.
func (t *task) wait() { t.pending.Wait() }

// count returns the number of tasks, without those that run at this moment.
func (s *scheduler) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.tasks)
}

// push makes the goroutine wait for a task. The caller holds the lock.
func (s *scheduler) push(t *task, next time.Time) {
	t.next = next
	heap.Push(&s.tasks, t)
	switch {
	case !s.running:
		s.running = true
		go s.loop()
	case t.index == 0:
		s.notify()
	}
}

func (s *scheduler) notify() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// loop starts due tasks until none is left.
func (s *scheduler) loop() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		t, wait, left := s.due()
		if !left {
			return
		}
		if t != nil {
			s.turns <- struct{}{}
			go s.work(t)
			continue
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-s.changed:
		}
	}
}

// due takes a due task, or returns how long until one is due, or that none is left.
func (s *scheduler) due() (t *task, wait time.Duration, left bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.tasks) == 0 {
		s.running = false
		return nil, 0, false
	}
	if wait = time.Until(s.tasks[0].next); wait > 0 {
		return nil, wait, true
	}
	t = heap.Pop(&s.tasks).(*task)
	t.running, t.wanted = true, t.every > 0
	t.pending.Add(1)
	return t, 0, true
}

func (s *scheduler) work(t *task) {
	defer t.pending.Done()
	var once sync.Once
	release := func() { once.Do(func() { <-s.turns }) }
	late := time.AfterFunc(turnTime, release)
	t.run()
	late.Stop()
	release()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rounds++
	if t.running = false; !t.wanted {
		return
	}
	next, now := t.next.Add(t.every), time.Now()
	if next.Before(now) {
		next = now.Add(t.every)
	}
	if t.until != nil {
		next = now.Add(t.until())
	}
	s.push(t, next)
}

// taskHeap has the task that is due first at the front.
type taskHeap []*task

func (h taskHeap) Len() int           { return len(h) }
func (h taskHeap) Less(i, j int) bool { return h[i].next.Before(h[j].next) }
func (h taskHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *taskHeap) Push(x any) {
	t := x.(*task)
	t.index = len(*h)
	*h = append(*h, t)
}

func (h *taskHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	t.index = -1
	return t
}
