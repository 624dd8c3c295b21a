package backend

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"testing"
	"time"
)

// startWithin is how long a server may take to answer, and how long it may take to end
// when it is asked to. Machines that run tests are often busy.
const startWithin = 60 * time.Second

// Process is the program of a server. What goes wrong in its methods fails the test that
// the server was started for.
type Process struct {
	title string
	log   *tail
	fail  func(format string, args ...any)
	spec  command

	mu     sync.Mutex
	run    *running // nil while it is stopped
	paused bool
}

var errEnded = errors.New("it has ended")

// command says how a program is started, and when it is ready.
type command struct {
	path  string
	args  []string
	dir   string
	env   []string // nil: that of the test
	user  uint32   // 0: that of the test
	ready func() error
}

type running struct {
	cmd  *exec.Cmd
	gone chan struct{} // closed when it has ended
	free func()
}

// PID returns the number of the process, or 0 while it is stopped.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.run == nil {
		return 0
	}
	return p.run.cmd.Process.Pid
}

// Log returns the end of what the program has printed.
func (p *Process) Log() string { return p.log.String() }

// Stop asks the program to end, as a service manager does, and waits for it.
func (p *Process) Stop() { p.end(terminate) }

// Kill ends the program at once. What it has not written to its files is lost.
func (p *Process) Kill() { p.end((*os.Process).Kill) }

// Pause stops the program in the middle of what it does. Its connections stay open and
// answer nothing, as if the machine hung. [Process.Resume] lets it go on.
func (p *Process) Pause() { p.signal("pause", pause, true) }

// Resume lets a paused program go on.
func (p *Process) Resume() { p.signal("resume", resume, false) }

// Restart starts the program again, after it has been ended if it still runs, with the
// same addresses and files. It returns when the server answers.
func (p *Process) Restart() {
	p.Stop()
	err := p.start()
	for try := 0; errors.Is(err, errEnded) && try < 3; try++ { // somebody may have looked whether its port is free
		time.Sleep(100 * time.Millisecond)
		err = p.start()
	}
	if err != nil {
		p.fail("%s does not start again: %v\n%s", p.title, err, p.log)
	}
}

func (p *Process) signal(verb string, send func(*os.Process) error, paused bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.run == nil {
		p.fail("%s cannot %s: it is stopped", p.title, verb)
		return
	}
	if err := send(p.run.cmd.Process); err != nil {
		p.fail("%s cannot %s: %v", p.title, verb, err)
	}
	p.paused = paused
}

// answers reports whether the program runs and is not paused.
func (p *Process) answers() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.run != nil && !p.paused
}

func (p *Process) end(how func(*os.Process) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.run == nil {
		return
	}
	_ = how(p.run.cmd.Process)
	_ = resume(p.run.cmd.Process) // a paused program does not hear that it is to end
	select {
	case <-p.run.gone:
	case <-time.After(startWithin):
		p.fail("%s does not end when it is asked to\n%s", p.title, p.log)
		_ = p.run.cmd.Process.Kill()
		<-p.run.gone
	}
	p.run.free()
	p.run, p.paused = nil, false
}

// start starts the program and waits until it is ready.
func (p *Process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	cmd := exec.Command(p.spec.path, p.spec.args...)
	cmd.Dir, cmd.Env = p.spec.dir, p.spec.env
	cmd.Stdout, cmd.Stderr = p.log, p.log
	cmd.WaitDelay = time.Second
	bind(cmd, p.spec.user)
	run := &running{cmd: cmd, gone: make(chan struct{})}
	started := make(chan error)
	go func() {
		// On Linux a program ends with the thread that has started it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
			close(run.gone)
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	free, err := guard(cmd.Process.Pid)
	if err == nil {
		run.free = free
		err = awaitReady(run, p.spec.ready)
	}
	if err != nil {
		_ = cmd.Process.Kill()
		<-run.gone
		if free != nil {
			free()
		}
		return err
	}
	p.run = run
	return nil
}

func awaitReady(run *running, ready func() error) error {
	deadline := time.Now().Add(startWithin)
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		err := ready()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("it is not ready after %v: %w", startWithin, err)
		}
		select {
		case <-run.gone:
			return fmt.Errorf("%w: %v", errEnded, run.cmd.ProcessState)
		case <-time.After(pause):
		}
	}
}

// installed returns the path of the first of the programs that there is.
func installed(programs ...string) (string, error) {
	var missing error
	for _, program := range programs {
		path, err := exec.LookPath(program)
		if err == nil {
			return path, nil
		}
		if missing == nil {
			missing = fmt.Errorf("%w: %w", ErrNotInstalled, err)
		}
	}
	return "", missing
}

// require skips the test if a program is not installed, and fails it for everything else.
func require(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		skipUninstalled(t, err)
		t.Fatal(err)
	}
}
