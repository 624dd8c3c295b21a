//go:build !unix

package backend

import (
	"errors"
	"os"
	"os/exec"
)

func terminate(p *os.Process) error { return p.Kill() }
func pause(*os.Process) error       { return errors.ErrUnsupported }
func resume(*os.Process) error      { return errors.ErrUnsupported }

func bind(*exec.Cmd, uint32) {}

func guard(int) (free func(), err error) { return func() {}, nil }
