package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// bashScript makes bash complete a command line. Its arguments are the words; the
// last is the one under the cursor.
const bashScript = `
shopt -s extglob
_get_comp_words_by_ref() { :; } # of the package bash-completion, which need not be there
__ltrim_colon_completions() { :; }
_init_completion() {
	words=("${COMP_WORDS[@]}") cword=$COMP_CWORD
	cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
}
compopt() { :; } # works within a real completion only
_filedir() {
	local f
	for f in $(compgen -f -- "$cur"); do
		if [[ -d $f || $1 != -d && $f == *.@(${1%|}) ]]; then COMPREPLY+=("$f"); fi
	done
}
source <(waddle completion bash)
COMP_WORDS=(waddle "$@") COMP_CWORD=$# COMP_LINE="waddle $*" COMP_POINT=${#COMP_LINE} COMP_TYPE=9 COMP_KEY=9
__start_waddle
printf '%s\n' "${COMPREPLY[@]}"
`

func needsBash(t *testing.T) string {
	t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil || runtime.GOOS == "windows" {
		t.Skip("SKIPPED: no bash here")
	}
	if exec.Command(bash, "-c", "((BASH_VERSINFO[0] >= 4))").Run() != nil {
		t.Skip("SKIPPED: this bash is older than 4")
	}
	return bash
}

// completions asks a real bash, in a directory with some files.
func completions(t *testing.T, args ...string) []string {
	t.Helper()
	bash := needsBash(t)
	dir := t.TempDir()
	for _, name := range []string{"mine.wasm", "other.wasm", "notes.txt", "dune/x.wasm"} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, nil, 0o600))
	}
	cmd := command(t, nil)
	cmd.Path, cmd.Args = bash, append([]string{"bash", "--norc", "-c", bashScript, "bash"}, args...)
	cmd.Dir = dir
	cmd.Env = append(cmd.Env, "PATH="+filepath.Dir(program)+string(os.PathListSeparator)+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	var all []string
	for line := range strings.Lines(string(out)) {
		if word := strings.TrimSpace(strings.SplitN(line, "  (", 2)[0]); word != "" {
			all = append(all, word)
		}
	}
	return all
}

func TestCompletionInBash(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		want []string // exactly these
		some []string // at least these
	}{
		{"verbs", []string{""}, nil, []string{"run", "inspect", "test", "bench", "completion", "version", "help"}},
		{"verb", []string{"ins"}, []string{"inspect"}, nil},
		{"files of run", []string{"run", ""}, nil, []string{"mine.wasm", "other.wasm"}},
		{"engines and files", []string{"test", ""}, []string{"memory", "keyfolder", "dynfile", "dune/", "mine.wasm", "other.wasm"}, nil},
		{"engine", []string{"bench", "key"}, []string{"keyfolder"}, nil},
		{"engine and directory", []string{"inspect", "d"}, []string{"dynfile", "dune/"}, nil},
		{"file", []string{"inspect", "mi"}, []string{"mine.wasm"}, nil},
		{"engine beside it", []string{"bench", "x.wasm", "--against", ""}, []string{"memory", "keyfolder", "dynfile", "none"}, nil},
		{"engine behind an equals sign", []string{"bench", "--against=n"}, []string{"none"}, nil},
		{"groups and checks", []string{"test", "x.wasm", "--only", "touch"}, nil, []string{"touch", "touch/never-creates"}},
		{"second check", []string{"test", "x.wasm", "--skip", "get,soa"}, nil, []string{"get,soak"}},
		{"operations", []string{"bench", "--operations", "get,"}, []string{"get,set", "get,get+set", "get,mix"}, nil},
		{"settings", []string{"test", "memory", "--config", "max_"}, []string{"max_entries=", "max_bytes="}, nil},
		{"settings of an unknown module", []string{"test", "mine.wasm", "-c", ""}, []string{}, nil},
		{"directories", []string{"test", "memory", "--mount", ""}, []string{"dune"}, nil},
		{"flags", []string{"inspect", "--de"}, []string{"--describe"}, nil},
		{"verbs of help", []string{"help", "r"}, nil, []string{"run"}},
		{"languages", []string{"new", ""}, []string{"assemblyscript", "c", "go", "rust", "zig"}, nil},
		{"directory of a project", []string{"new", "c", ""}, []string{"dune"}, nil},
		{"actions on manifests", []string{"manifest", ""}, []string{"check", "sum", "sign", "schema"}, nil},
		{"shells", []string{"completion", ""}, []string{"bash", "zsh", "fish", "powershell"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := completions(t, c.args...)
			if c.want != nil {
				require.ElementsMatch(t, c.want, found)
			}
			require.Subset(t, found, c.some)
			require.NotContains(t, found, "notes.txt")
		})
	}
}

// Each shell that is installed can read its script.
func TestCompletionScripts(t *testing.T) {
	for shell, check := range map[string][]string{
		"bash":       {"bash", "-n"},
		"zsh":        {"zsh", "-n"},
		"fish":       {"fish", "--no-execute"},
		"powershell": {"pwsh", "-NoProfile", "-File"},
	} {
		t.Run(shell, func(t *testing.T) {
			r := run(t, nil, "completion", shell)
			require.Equal(t, 0, r.code, r.stderr)
			require.Contains(t, r.stdout, "__complete")
			if _, err := exec.LookPath(check[0]); err != nil {
				t.Skipf("SKIPPED: no %s here to read it", check[0])
			}
			script := filepath.Join(t.TempDir(), "waddle.ps1")
			require.NoError(t, os.WriteFile(script, []byte(r.stdout), 0o600))
			out, err := exec.Command(check[0], append(check[1:], script)...).CombinedOutput()
			require.NoError(t, err, "%s", out)
		})
	}
}

// Every flag with a value completes it, or says that there is nothing to complete:
// offering files for a number is worse than offering nothing.
func TestCompletionOffersNoFilesForNumbers(t *testing.T) {
	for _, args := range [][]string{
		{"test", "x", "--seed", ""}, {"test", "x", "--soak", ""}, {"test", "x", "--deadline", ""}, {"test", "x", "--shards", ""},
		{"bench", "x", "--rounds", ""}, {"bench", "x", "--duration", ""}, {"bench", "x", "--value-size", ""},
		{"run", "--addr", ""}, {"version", ""}, {"inspect", "x.wasm", ""},
	} {
		r := run(t, nil, append([]string{"__complete"}, args...)...)
		require.Equal(t, 0, r.code, r.stderr)
		require.Contains(t, r.stderr, "NoFileComp", "%v", args)
	}
}

func TestCompletionDescribes(t *testing.T) {
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{""}, "test\trun the conformance suite on a module"},
		{[]string{"bench", "x", "--against", ""}, "keyfolder\tbundled: a folder for each session"},
		{[]string{"test", "x", "--only", "get/a"}, "get/again\tsession_get changes nothing"},
		{[]string{"test", "memory", "-c", ""}, "max_entries=\tthe largest number of records"},
	} {
		r := run(t, nil, append([]string{"__complete"}, c.args...)...)
		require.Equal(t, 0, r.code, r.stderr)
		require.Contains(t, r.stdout, c.says+"\n")
	}
}

func TestCompletionRefuses(t *testing.T) {
	for _, args := range [][]string{nil, {"tcsh"}, {"bash", "zsh"}} {
		r := run(t, nil, append([]string{"completion"}, args...)...)
		require.Equal(t, 2, r.code)
		require.Empty(t, r.stdout)
		require.Contains(t, r.stderr, "bash, zsh, fish or powershell")
	}
}
