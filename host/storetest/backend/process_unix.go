//go:build unix

package backend

import (
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

func terminate(p *os.Process) error { return p.Signal(syscall.SIGTERM) }
func pause(p *os.Process) error     { return p.Signal(syscall.SIGSTOP) }
func resume(p *os.Process) error    { return p.Signal(syscall.SIGCONT) }

func credential(user uint32) *syscall.Credential {
	if user == 0 {
		return nil
	}
	return &syscall.Credential{Uid: user, Gid: user, NoSetGroups: os.Getuid() != 0}
}

// watch kills a process when this one ends, however that ends: a shell waits for the end
// of a pipe whose other end only this process has.
func watch(pid int) (free func(), err error) {
	shell := exec.Command("/bin/sh", "-c", "trap '' INT TERM HUP; read _ || kill -KILL "+strconv.Itoa(pid))
	hold, err := shell.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := shell.Start(); err != nil {
		return nil, err
	}
	return func() {
		_ = shell.Process.Kill()
		_ = hold.Close()
		_ = shell.Wait()
	}, nil
}
