package main_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRunKeepsSessions: with a directory, a session outlives the program.
func TestRunKeepsSessions(t *testing.T) {
	needsSignals(t)
	for storage, durability := range map[string]string{"memory": "close", "keyfolder": "commit", "dynfile": ""} {
		t.Run(storage+" "+durability, func(t *testing.T) {
			settings := []string{"SESSION_STORAGE=" + storage, "SESSION_DIR=" + filepath.Join(t.TempDir(), "made"),
				"SESSION_DURABILITY=" + durability}
			jar, err := cookiejar.New(nil)
			require.NoError(t, err)
			client := http.Client{Jar: jar}

			s := serve(t, settings, "--addr", "127.0.0.1:0")
			response, err := client.Post(s.address+"/api/session/visits/increment", "", nil)
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, response.StatusCode)
			require.NoError(t, response.Body.Close())
			require.Contains(t, s.stop(t, syscall.SIGTERM), "sessions saved")

			s = serve(t, settings, "--addr", "127.0.0.1:0")
			response, err = client.Get(s.address + "/api/session")
			require.NoError(t, err)
			body, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			require.Contains(t, string(body), `"visits":1`)
		})
	}
}

func TestRunRefusesStorageSettings(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name     string
		settings []string
		code     int
		says     string
	}{
		{"files and no directory", []string{"SESSION_STORAGE=keyfolder"}, 2, "SESSION_DIR"},
		{"unknown durability", []string{"SESSION_DURABILITY=often"}, 2, "SESSION_DURABILITY"},
		{"weak secret", []string{"WADDLE_SECRET=hunter2"}, 2, "WADDLE_SECRET"},
		{"memory at every commit", []string{"SESSION_DIR=" + dir, "SESSION_DURABILITY=commit"}, 1, "DurabilityCommit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := run(t, c.settings, "run", "--addr", "127.0.0.1:0")
			require.Equal(t, c.code, r.code, r.stderr)
			require.Contains(t, r.stderr, c.says)
		})
	}
}

// A directory is for one program at a time, and the second learns who has it.
func TestRunDirectoryInUse(t *testing.T) {
	needsSignals(t)
	settings := []string{"SESSION_STORAGE=dynfile", "SESSION_DIR=" + t.TempDir()}
	s := serve(t, settings, "--addr", "127.0.0.1:0")
	r := run(t, settings, "run", "--addr", "127.0.0.1:0")
	require.Equal(t, 1, r.code, r.stdout)
	require.Contains(t, lastLine(r), "in use")
	require.Contains(t, lastLine(r), strconv.Itoa(s.cmd.Process.Pid))
	s.stop(t, syscall.SIGTERM)
	serve(t, settings, "--addr", "127.0.0.1:0").stop(t, syscall.SIGTERM)
}
