//go:build unix

package backend

import "os/exec"

// StartWatched starts a program in the way of systems on which no program can be bound to
// the one that starts it.
func StartWatched() (pid int, err error) {
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	_, err = watch(cmd.Process.Pid)
	return cmd.Process.Pid, err
}
