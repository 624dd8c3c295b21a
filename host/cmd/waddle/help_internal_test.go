package main

import (
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
)

// The examples in the help work: each verb takes these arguments and flags.
func TestExamples(t *testing.T) {
	env := &environment{stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard}
	end := regexp.MustCompile(` +(#|>|\|) .*$`)
	for _, verb := range verbs(newRoot(env)) {
		t.Run(verb.Name(), func(t *testing.T) {
			found := 0
			for line := range strings.Lines(strings.ReplaceAll(verb.Example, "\\\n", "")) {
				_, call, ok := strings.Cut(end.ReplaceAllString(strings.TrimRight(line, "\n"), ""), "waddle "+verb.Name())
				if !ok || strings.Contains(line, "http://") {
					continue
				}
				found++
				call = strings.NewReplacer("'", "", ")", "").Replace(call)
				for _, cmd := range newRoot(env).Commands() {
					if cmd.Name() != verb.Name() {
						continue
					}
					require.NoError(t, cmd.ParseFlags(strings.Fields(call)), line)
					require.NoError(t, cmd.ValidateArgs(cmd.Flags().Args()), line)
				}
			}
			require.Positive(t, found)
		})
	}
}

func TestHelpFitsATerminal(t *testing.T) {
	var b strings.Builder
	env := &environment{stdout: &b}
	root := newRoot(env)
	for _, verb := range verbs(root) {
		b.Reset()
		explain(&b, verb)
		for line := range strings.Lines(b.String()) {
			require.LessOrEqual(t, len([]rune(line))-1, helpWidth, line)
		}
	}
}

// The help of the verb that takes settings names every setting.
func TestHelpNamesEverySetting(t *testing.T) {
	var b strings.Builder
	env := &environment{stdout: &b}
	explain(&b, newRun(env))
	for _, s := range session.Defaults().Describe() {
		if s.Variable != "" {
			require.Regexp(t, `\b`+s.Variable+`\b`, b.String())
		}
	}
	require.NotContains(t, b.String(), "OTHERS")
}

func TestWrapped(t *testing.T) {
	require.Equal(t, "", wrapped("", 10, 2))
	require.Equal(t, "one two", wrapped("one  two", 7, 2))
	require.Equal(t, "one\n  two", wrapped("one two", 6, 2))
	require.Equal(t, "endless-word\n  x", wrapped("endless-word x", 5, 2))
}

func TestQuoted(t *testing.T) {
	for word, want := range map[string]string{
		"engine": "engine", "a/b-c_d.1": "a/b-c_d.1", "~/x": "'~/x'", "two words": "'two words'", "it's": `'it'\''s'`,
		"$HOME": "'$HOME'", "-x": "./-x", "- x": "'./- x'", "": "''",
	} {
		require.Equal(t, want, quoted(word))
	}
}
