package backend_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

// abandonVar makes the test's program do what a test does that never ends its server.
const abandonVar = "WADDLE_TEST_ABANDON"

func abandon(how string) {
	start := backend.StartAbandoned
	if how == "watch" {
		start = backend.StartWatched
	}
	pid, err := start()
	if err != nil {
		panic(err)
	}
	fmt.Println(pid)
	if how == "panic" {
		panic("on purpose")
	}
	select {}
}

func TestNoProcessIsLeftBehind(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED: there are no servers to start on Windows")
	}
	backend.SharedRedis(t, backend.RedisOptions{}) // there must be one to leave behind
	for _, how := range []string{"kill", "panic", "watch"} {
		t.Run(how, func(t *testing.T) {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), abandonVar+"="+how, "TMPDIR="+t.TempDir())
			out, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			line, err := bufio.NewReader(out).ReadString('\n')
			require.NoError(t, err)
			pid, err := strconv.Atoi(strings.TrimSpace(line))
			require.NoError(t, err)
			if how != "panic" {
				require.False(t, gone(pid))
				require.NoError(t, cmd.Process.Kill())
			}
			require.Error(t, cmd.Wait())
			require.Eventually(t, func() bool { return gone(pid) }, 20*time.Second, 5*time.Millisecond)
		})
	}
}

// gone reports whether a process has ended. Where nobody waits for orphans it is still
// listed, as a zombie.
func gone(pid int) bool {
	state, _ := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
	return len(state) == 0 || state[0] == 'Z'
}
