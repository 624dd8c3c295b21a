package main_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// hostile holds modules with one fault each, with their sources beside them.
const hostile = "../../plugin/testdata"

func hostileGuest(name string) string { return filepath.Join(hostile, name+".wasm") }

// lastLine returns the last line of the program's output.
func lastLine(r result) string {
	lines := strings.Split(strings.TrimSpace(r.stderr), "\n")
	return lines[len(lines)-1]
}

// object reads JSON, which must be the whole output.
func object(t *testing.T, text string) map[string]any {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(text))
	var all map[string]any
	require.NoError(t, decoder.Decode(&all), text)
	_, err := decoder.Token()
	require.ErrorIs(t, err, io.EOF)
	return all
}

func TestInspect(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, content, 0o600))
		return path
	}
	cut := write("cut.wasm", moduleBytes(t)[:300_000])
	text := write("text.wasm", []byte("hello"))
	empty := write("empty.wasm", nil)
	huge := filepath.Join(dir, "huge.wasm")
	f, err := os.Create(huge)
	require.NoError(t, err)
	require.NoError(t, f.Truncate(64<<30), "a file with nothing in it takes no space")
	require.NoError(t, f.Close())

	for _, c := range []struct {
		name   string
		args   []string
		code   int
		stdout []string
		says   string // the last line on standard error
	}{
		{"bundled", []string{"memory"}, 0, []string{"session_abi_v1", "session_snapshot", "wasi_snapshot_preview1.random_get", "it is a bundled engine and trusted", "Nothing in the file was found against it"}, ""},
		{"needs a server", []string{"redis"}, 0, []string{"session_batch", "waddle_v1.dial", "it is a bundled engine and trusted", "by Network of the plugin's Config; it would be refused without"}, ""},
		{"a server", []string{"rediss+cluster://ada:s3cr3t@a:7000?nodes=10.0.0.0/8:6379"}, 0, []string{"rediss+cluster://ada:xxxxx@a:7000", "granted: tls://a:7000, tls://10.0.0.0/8:6379", "it is a bundled engine and trusted"}, ""},
		{"another server", []string{"postgres://ada:s3cr3t@a,b:5433/shop"}, 0, []string{"postgres://ada:xxxxx@a,b:5433/shop", "granted: tcp://a:5432, tcp://b:5433", "it is a bundled engine and trusted"}, ""},
		{"a server, wrong", []string{"redis://ada:s3cr3t@a?x=1"}, 2, nil, `the option "x" is unknown`},
		{"small", []string{hostileGuest("store")}, 0, []string{"18 pages", "it is not trusted unless its host says so", "has bounds, by default 274877906944 units of fuel and 5s", "Nothing in the file was found against it"}, ""},
		{"described", []string{hostileGuest("store"), "--describe"}, 0, []string{"tiny store", "1.0", "cas", "7.8 KiB", "It would be loaded."}, ""},
		{"described with a directory", []string{"keyfolder", "--describe"}, 0, []string{"name        keyfolder"}, ""},
		{"described with settings", []string{"--describe", "memory", "-c", "max_entries=1000"}, 0, []string{"name        memory"}, ""},
		{"described with a wrong setting", []string{"--describe", "memory", "-c", "max_entires=1000"}, 1, []string{"max_entires", "It would be refused"}, "would be refused"},
		{"describes what is refused", []string{"--describe", hostileGuest("describe_small")}, 1, []string{"max_key", "It would be refused"}, "would be refused"},
		{"describes limits that are none", []string{"--describe", hostileGuest("describe_limits"), "--json"}, 1, []string{`"accepted": false`, "max_value"}, "would be refused"},
		{"never called", []string{hostileGuest("init_loop")}, 0, []string{"_initialize", "Nothing in the file was found against it"}, ""},
		{"endless", []string{hostileGuest("init_loop"), "--describe"}, 1, []string{"may run for 2s"}, "would be refused"},
		{"exits", []string{hostileGuest("init_exit"), "--describe"}, 1, []string{"exited with code 2"}, "would be refused"},
		{"refused", []string{hostileGuest("import_module")}, 1, []string{"env.abort", "It would be refused", "functions that a host of this version lacks"}, "would be refused"},
		{"refused, not run", []string{hostileGuest("start"), "--describe"}, 1, []string{"start section"}, "would be refused"},
		{"cut", []string{cut}, 1, []string{"session_alloc", "cannot be read to its end"}, "would be refused"},
		{"text", []string{text}, 1, []string{"not a WebAssembly module", `"hello"`}, "would be refused"},
		{"empty", []string{empty}, 1, []string{"not a WebAssembly module"}, "would be refused"},
		{"huge", []string{huge}, 1, []string{"64.0 GiB", "68719476736 bytes: must be at most 33554432"}, "would be refused"},
		{"directory", []string{dir}, 2, nil, "is a directory: must be the path"},
		{"absent", []string{"nothing.wasm"}, 2, nil, `no file "nothing.wasm": must be the path`},
		{"none", nil, 2, nil, "inspect needs a module"},
		{"two", []string{"a.wasm", "b.wasm"}, 2, nil, "takes one module, got 2"},
		{"settings without running", []string{"memory", "-c", "max_entries=7"}, 2, nil, "add --describe"},
		{"bad setting", []string{"memory", "-c", "max_entries"}, 2, nil, "max_entries=100"},
		{"setting twice", []string{"memory", "--describe", "-c", "a=1", "-c", "a=2"}, 2, nil, "a is given twice"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := run(t, nil, append([]string{"inspect"}, c.args...)...)
			require.Equal(t, c.code, r.code, "%s%s", r.stdout, r.stderr)
			for _, says := range c.stdout {
				require.Contains(t, r.stdout, says)
			}
			require.NotContains(t, r.stdout+r.stderr, "s3cr3t")
			if c.says == "" {
				require.Empty(t, r.stderr)
				return
			}
			require.Contains(t, lastLine(r), c.says)
			require.True(t, strings.HasPrefix(lastLine(r), "waddle: "), r.stderr)
			require.Equal(t, c.stdout == nil, r.stdout == "")
		})
	}
}

func TestInspectJSON(t *testing.T) {
	r := run(t, nil, "inspect", hostileGuest("export_missing"), "--json")
	require.Equal(t, 1, r.code)
	all := object(t, r.stdout)
	require.Equal(t, false, all["accepted"])
	reason := all["refused"].([]any)[0].(map[string]any)
	require.Contains(t, reason["detail"], "session_save")
	require.Equal(t, "session_alloc", all["exports"].([]any)[2].(map[string]any)["name"])

	r = run(t, nil, "inspect", hostileGuest("store"), "--json", "--describe")
	require.Equal(t, 0, r.code)
	require.Empty(t, r.stderr)
	all = object(t, r.stdout)
	require.Equal(t, true, all["accepted"])
	require.Equal(t, "tiny store", all["description"].(map[string]any)["name"])
	require.InDelta(t, 18, all["memory"].(map[string]any)["min_pages"], 0)
}

func TestInspectStandardInput(t *testing.T) {
	cmd := command(t, nil, "inspect", "-", "--json")
	cmd.Stdin = bytes.NewReader(moduleBytes(t))
	out, err := cmd.Output()
	require.NoError(t, err)
	require.Equal(t, "standard input", object(t, string(out))["file"])
}

// A module's log is shown only on request.
func TestInspectLog(t *testing.T) {
	quiet := run(t, nil, "inspect", hostileGuest("open_shouts"), "--describe")
	require.Equal(t, 0, quiet.code)
	require.Empty(t, quiet.stderr)
	r := run(t, nil, "inspect", hostileGuest("open_shouts"), "--describe", "-v")
	require.Equal(t, quiet.code, r.code)
	require.Contains(t, r.stderr, "memory_limit")
	require.NotContains(t, r.stderr, "\x00")
}

// A web page in place of the module, as left by a failed download.
func TestInspectDownload(t *testing.T) {
	s := serve(t, nil, "--addr", "127.0.0.1:0")
	response, err := http.Get(s.address + "/")
	require.NoError(t, err)
	defer response.Body.Close()
	cmd := command(t, nil, "inspect", "-")
	cmd.Stdin = response.Body
	out, err := cmd.Output()
	require.Error(t, err)
	require.Equal(t, 1, cmd.ProcessState.ExitCode())
	require.Contains(t, string(out), "not a WebAssembly module")
}
