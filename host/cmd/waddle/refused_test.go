package main_test

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/engines/memory"
)

// moduleBytes returns a guest: the bundled engine's.
func moduleBytes(t *testing.T) []byte {
	t.Helper()
	wasm, err := memory.Module()
	require.NoError(t, err)
	return wasm
}

func TestRefused(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, content, 0o600))
		return path
	}
	noGuest := write("no-guest.wasm", []byte("\x00asm\x01\x00\x00\x00"))
	text := write("text.wasm", []byte("hello"))
	future := write("future.wasm", bytes.ReplaceAll(moduleBytes(t), []byte("session_abi_v1"), []byte("session_abi_v9")))
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()

	for _, c := range []struct {
		name     string
		settings []string
		args     []string
		code     int
		says     []string
	}{
		{"no verb", nil, nil, 2, []string{"no verb was given", "waddle run"}},
		{"unknown verb", nil, []string{"rum"}, 2, []string{`"rum"`, "run, host, serve, manifest, sessions, migrate, check, backup, restore, inspect, test, bench, new, completion, version, help"}},
		{"help for an unknown verb", nil, []string{"help", "rum"}, 2, []string{`"rum"`, "run, host, serve, manifest, sessions, migrate, check, backup, restore, inspect, test, bench, new, completion, version, help"}},
		{"help for two", nil, []string{"help", "run", "version"}, 2, []string{"one verb"}},
		{"unknown flag", nil, []string{"run", "--port", "80"}, 2, []string{"-port", "waddle help run"}},
		{"flag without value", nil, []string{"run", "--addr"}, 2, []string{"-addr", "waddle help run"}},
		{"two files", nil, []string{"run", "a.wasm", "b.wasm"}, 2, []string{"one file", "a.wasm b.wasm"}},
		{"flag behind two dashes", nil, []string{"run", "--", "a.wasm", "--addr"}, 2, []string{"one file", "a.wasm --addr"}},
		{"argument of version", nil, []string{"version", "now"}, 2, []string{`"now"`}},
		{"address without port", nil, []string{"run", "--addr", "localhost"}, 2, []string{`"localhost"`, "HOST:PORT"}},
		{"address from the environment", []string{"WADDLE_ADDR=localhost"}, []string{"run"}, 2, []string{`"localhost"`, "HOST:PORT"}},
		{"port out of range", nil, []string{"run", "--addr", "localhost:65536"}, 2, []string{`"65536"`, "0 to 65535"}},
		{"port by name", nil, []string{"run", "--addr", "localhost:http"}, 2, []string{`"http"`, "0 to 65535"}},
		{"probes without port", nil, []string{"run", "--probe-addr", "9090"}, 2, []string{`"9090"`, "HOST:PORT", "unix:PATH"}},
		{"probes on no path", []string{"WADDLE_PROBE_ADDR=unix:"}, []string{"run"}, 2, []string{`"unix:"`, "must have a path"}},
		{"probes on a file", nil, []string{"run", "--addr", "127.0.0.1:0", "--probe-addr", "unix:" + text}, 1, []string{"text.wasm", "is not a socket", "--probe-addr"}},
		{"port taken", nil, []string{"run", "--addr", taken.Addr().String()}, 1, []string{"another program already listens", "--addr 127.0.0.1:0"}},
		{"bad setting", []string{"SESSION_COOKIE_AGE=tomorrow"}, []string{"run"}, 2, []string{"SESSION_COOKIE_AGE", `"tomorrow"`, "seconds"}},
		{"misspelt setting of the storage", []string{"SESSION_STORAG=x"}, []string{"run"}, 2, []string{"SESSION_STORAG,", "SESSION_STORAGE meant"}},
		{"misspelt setting", []string{"SESSION_COOKIE_NAMES=x"}, []string{"run"}, 2, []string{"SESSION_COOKIE_NAMES", "SESSION_COOKIE_NAME meant"}},
		{"settings that do not go together", []string{"SESSION_COOKIE_SAMESITE=None"}, []string{"run"}, 2, []string{"SESSION_COOKIE_SAMESITE", "SESSION_COOKIE_SECURE"}},
		{"engine that is not there", []string{"SESSION_ENGINE=nothing"}, []string{"run", "--addr", "127.0.0.1:0"}, 2, []string{`SESSION_ENGINE is "nothing"`, "records"}},
		{"file that is not there", nil, []string{"run", "--addr", "127.0.0.1:0", "none.wasm"}, 2, []string{`"none.wasm"`, "memory", "no such file"}},
		{"storage that is not there", []string{"SESSION_STORAGE=own.wasm"}, []string{"run", "--addr", "127.0.0.1:0"}, 2, []string{`"own.wasm"`, "memory", "no such file"}},
		{"server without a URL", []string{"SESSION_STORAGE=redis"}, []string{"run", "--addr", "127.0.0.1:0"}, 2, []string{`"redis": must be the URL of a server, such as redis://host`}},
		{"wrong URL of a server", []string{"SESSION_STORAGE=redis://a:s3cr3t@b:c"}, []string{"run", "--addr", "127.0.0.1:0"}, 2, []string{`SESSION_STORAGE is "redis://…"`, "must name a host"}},
		{"server that is not there", []string{"SESSION_STORAGE=redis://a:s3cr3t@127.0.0.1:1"}, []string{"run", "--addr", "127.0.0.1:0"}, 1, []string{"127.0.0.1:1", "refused"}},
		{"bench against a server", nil, []string{"bench", "memory", "--against", "redis://127.0.0.1:1"}, 2, []string{"must be memory, keyfolder, dynfile or none"}},
		{"quota that is none", nil, []string{"run", "--mount-bytes", "0"}, 2, []string{"mount-bytes", `"0"`, "500MiB"}},
		{"quota of another unit", nil, []string{"test", "memory", "--mount-bytes", "5GB"}, 2, []string{"mount-bytes", `"5GB"`, "500MiB"}},
		{"quota that is too large", nil, []string{"bench", "memory", "--mount-bytes", "9999999999999GiB"}, 2, []string{"mount-bytes", "500MiB"}},
		{"quota of fewer files than none", nil, []string{"run", "--mount-files", "-1"}, 2, []string{"--mount-files is -1", "4 KiB"}},
		{"test with a quota of fewer files than none", nil, []string{"test", "memory", "--mount-files", "-1"}, 2, []string{"--mount-files is -1"}},
		{"bench with a quota of fewer files than none", nil, []string{"bench", "memory", "--mount-files", "-1"}, 2, []string{"--mount-files is -1"}},
		{"directory", []string{"SESSION_STORAGE=" + dir}, []string{"run", "--addr", "127.0.0.1:0"}, 2, []string{"a directory: must be memory"}},
		{"no WebAssembly", nil, []string{"run", "--addr", "127.0.0.1:0", text}, 1, []string{"text.wasm"}},
		{"no guest", nil, []string{"run", "--addr", "127.0.0.1:0", noGuest}, 1, []string{"no-guest.wasm", "session_abi_v1"}},
		{"guest of another version", nil, []string{"run", "--addr", "127.0.0.1:0", future}, 1, []string{"future.wasm", "session_abi_v9"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := run(t, c.settings, c.args...)
			require.Equal(t, c.code, r.code, "%s%s", r.stdout, r.stderr)
			require.Empty(t, r.stdout)
			lines := strings.Split(strings.TrimSpace(r.stderr), "\n")
			last := lines[len(lines)-1]
			require.True(t, strings.HasPrefix(last, "waddle: "), r.stderr)
			for _, says := range c.says {
				require.Contains(t, last, says)
			}
			require.NotContains(t, r.stderr, "goroutine")
		})
	}
}

func TestHelp(t *testing.T) {
	for _, c := range []struct {
		args []string
		says []string
	}{
		{[]string{"help"}, []string{"waddle run", "waddle version", "waddle help"}},
		{[]string{"--help"}, []string{"waddle run"}},
		{[]string{"-h"}, []string{"waddle run"}},
		{[]string{"help", "run"}, []string{"--addr", "WADDLE_ADDR", "SESSION_STORAGE", "127.0.0.1:8080"}},
		{[]string{"run", "--help"}, []string{"--addr", "SESSION_STORAGE"}},
		{[]string{"run", "x.wasm", "-h"}, []string{"--addr"}},
		{[]string{"help", "inspect"}, []string{"--describe", "Examples:\n  waddle inspect my-engine.wasm\n"}},
		{[]string{"help", "test"}, []string{"--seed N", "--only", "abi/SPEC.md"}},
		{[]string{"help", "bench"}, []string{"--against ENGINE", "(default 128,4KiB,64KiB)"}},
		{[]string{"help", "new"}, []string{"assemblyscript", "--checkout", "waddle new c my-engine"}},
		{[]string{"help", "completion"}, []string{"source <(waddle completion bash)"}},
		{[]string{"help", "help"}, []string{"waddle help [VERB]"}},
		{[]string{"version"}, []string{"waddle ", "go1."}},
		{[]string{"--version"}, []string{"waddle ", "go1."}},
	} {
		r := run(t, nil, c.args...)
		require.Equal(t, 0, r.code, "%v: %s", c.args, r.stderr)
		require.Empty(t, r.stderr, "%v", c.args)
		for _, says := range c.says {
			require.Contains(t, r.stdout, says, "%v", c.args)
		}
	}
}

func TestVersionJSON(t *testing.T) {
	r := run(t, nil, "version", "--json")
	require.Equal(t, 0, r.code, r.stderr)
	require.Equal(t, runtime.Version(), object(t, r.stdout)["go"])
}

// A guest that fails while it opens is told with its stack and the end of its output,
// and the reason comes last.
func TestGuestThatFailsIsToldInDetail(t *testing.T) {
	for _, args := range [][]string{{"bench"}, {"run", "--addr", "127.0.0.1:0"}} {
		r := run(t, nil, append(args, hostileGuest("init_output"))...)
		require.Equal(t, 1, r.code)
		require.Contains(t, r.stderr, "the guest trapped: unreachable\ncall stack:\n\t$1()\noutput:\n\tno\ufffd disk here\n")
		require.Contains(t, lastLine(r), "waddle: plugin init_output.wasm: guest does not open: shard 0: unreachable")
		require.Empty(t, r.stdout)
	}
	r := run(t, nil, "run", "--addr", "127.0.0.1:0", hostileGuest("open_refuses"))
	require.NotContains(t, r.stderr, "call stack", "of an answer there is none")
}
