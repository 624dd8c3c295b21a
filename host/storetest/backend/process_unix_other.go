//go:build unix && !linux

package backend

import (
	"os/exec"
	"syscall"
)

func bind(cmd *exec.Cmd, user uint32) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential(user)}
}

func guard(pid int) (free func(), err error) { return watch(pid) }
