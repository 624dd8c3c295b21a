//go:build linux || darwin

package plugin_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const stoppedVariable = "WADDLE_TEST_STOPPED"

// TestStoppedChild is the process that TestAStarvedHostKillsNoGuest starts. It makes calls,
// each a part of the deadline long, and says when one of them took longer than it by the
// clock on the wall.
func TestStoppedChild(t *testing.T) {
	if os.Getenv(stoppedVariable) == "" {
		t.Skip("TestAStarvedHostKillsNoGuest starts it")
	}
	config := metered()
	config.Deadline, config.Fuel, config.FuelRate = stoppedDeadline, 1<<50, -1
	p := open(t, countdown.in("session_get"), config)
	fmt.Println("ready")
	for began := time.Now(); time.Since(began) < time.Minute; {
		before := time.Now()
		_, err := p.Get(ctx, key, 1)
		require.NoError(t, err)
		if took := time.Since(before); took > stoppedFor*3/4 {
			fmt.Println("stopped within a call")
			return
		}
	}
}

const (
	stoppedDeadline = time.Second
	stoppedFor      = 4 * stoppedDeadline
)

// countdown is a guest whose call takes some hundredths of a second, with a hook every so
// often.
var countdown = tiring{locals: numbers, does: "i32.const 30000000 local.set 0 loop local.get 0 i32.const 1 i32.sub local.tee 0 br_if 0 end"}

// A machine that runs something else for longer than the deadline, in the middle of a call,
// does not end a guest that is well.
func TestAStarvedHostKillsNoGuest(t *testing.T) {
	if testing.Short() {
		t.Skip("stops a process for seconds")
	}
	for range 5 { // the stop may fall between two calls
		process := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestStoppedChild$", "-test.v")
		process.Env = append(os.Environ(), stoppedVariable+"=1")
		out, err := process.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, process.Start())
		lines := bufio.NewScanner(out)
		for lines.Scan() && lines.Text() != "ready" {
		}
		time.Sleep(100 * time.Millisecond)
		require.NoError(t, process.Process.Signal(syscall.SIGSTOP))
		time.Sleep(stoppedFor)
		require.NoError(t, process.Process.Signal(syscall.SIGCONT))
		var said strings.Builder
		for lines.Scan() {
			said.WriteString(lines.Text() + "\n")
		}
		require.NoError(t, process.Wait(), said.String())
		require.NotContains(t, said.String(), "deadline")
		if strings.Contains(said.String(), "stopped within a call") {
			return
		}
	}
	t.Fatal("the process was never stopped within a call")
}
