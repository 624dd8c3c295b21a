package transcript

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// mark ends the output of each command.
const mark = "-- end of a command of the transcript: "

// Shell is a bash that runs one command after another. Directories, variables
// and background jobs carry over from one to the next.
type Shell struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	output *bufio.Reader
	pipe   *os.File
}

// NewShell starts a bash in a directory. Close must be called.
func NewShell(dir string, env []string) (*Shell, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer write.Close()
	s := &Shell{cmd: exec.Command("bash", "--noprofile", "--norc"), output: bufio.NewReader(read), pipe: read}
	s.cmd.Dir, s.cmd.Env, s.cmd.Stdout, s.cmd.Stderr = dir, env, write, write
	if s.stdin, err = s.cmd.StdinPipe(); err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		read.Close()
		return nil, err
	}
	return s, nil
}

// Run runs a command and returns its output and its exit code. A command that
// takes longer than the limit is an error, and the shell cannot be used after
// that.
func (s *Shell) Run(command string, limit time.Duration) (output string, code int, err error) {
	// A command that reads finds no input, and the next one can ask for $?.
	_, err = fmt.Fprintf(s.stdin, "{ (exit ${transcript_code:-0})\n%s\n} </dev/null; transcript_code=$?; printf '\\n%s%%d\\n' $transcript_code\n", command, mark)
	if err != nil {
		return "", 0, err
	}
	if err := s.pipe.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return "", 0, err
	}
	var b strings.Builder
	for {
		line, err := s.output.ReadString('\n')
		if ended, ok := strings.CutPrefix(line, mark); ok {
			code, err := strconv.Atoi(strings.TrimSpace(ended))
			return strings.TrimSuffix(b.String(), "\n"), code, err
		}
		b.WriteString(line)
		if err != nil {
			return b.String(), 0, fmt.Errorf("%q has not ended: %w; it printed:\n%s", command, err, b.String())
		}
	}
}

// Close ends the shell.
func (s *Shell) Close() error {
	s.stdin.Close()
	err := s.cmd.Wait()
	s.pipe.Close()
	return err
}
