package transcript

import (
	"fmt"
	"regexp"
	"strings"
)

// Match returns an error unless output is what a page says. It ignores spaces
// at the ends of lines and empty lines at the end.
func Match(want []string, output string) error {
	var pattern strings.Builder
	pattern.WriteString(`\A`)
	for _, line := range trimmed(want) {
		if line == "…" {
			pattern.WriteString(`(?:[^\n]*\n)*?`)
			continue
		}
		pattern.WriteString(strings.ReplaceAll(regexp.QuoteMeta(line), "…", `[^\n]*?`))
		pattern.WriteString(`\n`)
	}
	pattern.WriteString(`\z`)
	var got strings.Builder
	for _, line := range trimmed(strings.Split(output, "\n")) {
		got.WriteString(line + "\n")
	}
	if regexp.MustCompile(pattern.String()).MatchString(got.String()) {
		return nil
	}
	return fmt.Errorf("the page says:\n%s\nbut the command printed:\n%s", indented(want), indented(strings.Split(got.String(), "\n")))
}

// trimmed returns lines without spaces at their ends and empty ones at the end.
func trimmed(lines []string) []string {
	out := make([]string, len(lines))
	for i, line := range lines {
		out[i] = strings.TrimRight(line, " \t\r")
	}
	for len(out) > 0 && out[len(out)-1] == "" {
		out = out[:len(out)-1]
	}
	return out
}

func indented(lines []string) string {
	return "\t" + strings.Join(trimmed(lines), "\n\t")
}

// Change applies a "```diff" block to the content of a file.
func Change(content, change string) (string, error) {
	var before, after strings.Builder
	for line := range strings.Lines(change) {
		mark, rest := line[:1], line[1:]
		switch mark {
		case "\n": // an empty line whose space an editor has removed
			before.WriteString(line)
			after.WriteString(line)
		case " ":
			before.WriteString(rest)
			after.WriteString(rest)
		case "-":
			before.WriteString(rest)
		case "+":
			after.WriteString(rest)
		default:
			return "", fmt.Errorf("the line %q of a change begins with none of space, - and +", strings.TrimSpace(line))
		}
	}
	switch n := strings.Count(content, before.String()); {
	case before.Len() == 0:
		return "", fmt.Errorf("a change that does not say where")
	case n != 1:
		return "", fmt.Errorf("these lines appear %d times in the file: must appear once:\n%s", n, before.String())
	}
	return strings.Replace(content, before.String(), after.String(), 1), nil
}
