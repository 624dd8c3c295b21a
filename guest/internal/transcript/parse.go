// Package transcript runs a page of Markdown that shows commands with their
// output, files and changes to files, so that a tutorial shows what really
// happens.
//
// These fenced blocks of a page are steps, in their order:
//
//   - "```console" holds commands, each after "$ " and followed by what it prints to standard output and error. A backslash continues a command on the next line. A command must succeed, unless the next one is "echo $?".
//   - "```go FILE" (or any other language, and the name of a file) is the whole
//     content of that file.
//   - "```diff FILE" is a change to that file. The lines that begin with a space or with "-" must be in it once, one after the other. They are replaced by those that begin with a space or with "+".
//
// In output, … stands for any text within a line; on a line of its own it stands
// for any number of lines. It is for what differs from run to run: durations,
// sizes, hashes, directories. Blocks of any other kind are ignored.
package transcript

import (
	"fmt"
	"strings"
)

// Step is one thing to do: a command to run, a file to write or to change.
type Step struct {
	Line int // in the page, from 1

	Command string
	Want    []string // the lines that the command must print
	MayFail bool     // the next command asks for the exit code

	File    string
	Content string // of a file, or the lines of a change
	Change  bool
}

// Parse returns the steps of a page.
func Parse(page string) ([]Step, error) {
	var steps []Step
	var block []string
	info, start := "", 0
	for i, line := range strings.Split(page, "\n") {
		fence, isFence := strings.CutPrefix(line, "```")
		switch {
		case start == 0 && isFence:
			info, start, block = strings.TrimSpace(fence), i+1, nil
		case start > 0 && isFence && strings.TrimSpace(fence) == "":
			more, err := parseBlock(info, block, start)
			if err != nil {
				return nil, err
			}
			steps, start = append(steps, more...), 0
		case start > 0:
			block = append(block, line)
		}
	}
	if start > 0 {
		return nil, fmt.Errorf("line %d: a block that does not end", start)
	}
	return steps, nil
}

func parseBlock(info string, lines []string, start int) ([]Step, error) {
	kind, file, named := strings.Cut(info, " ")
	switch {
	case kind == "console":
		return parseConsole(lines, start)
	case kind == "diff" && !named:
		return nil, fmt.Errorf("line %d: a change without the name of a file", start)
	case named:
		return []Step{{Line: start, File: strings.TrimSpace(file), Change: kind == "diff", Content: strings.Join(lines, "\n") + "\n"}}, nil
	}
	return nil, nil
}

func parseConsole(lines []string, start int) (steps []Step, err error) {
	goesOn := false
	for i, line := range lines {
		command, isCommand := strings.CutPrefix(line, "$ ")
		switch {
		case goesOn:
			last := &steps[len(steps)-1]
			last.Command += "\n" + line
			goesOn = strings.HasSuffix(line, "\\")
		case isCommand:
			steps = append(steps, Step{Line: start + i + 1, Command: command})
			goesOn = strings.HasSuffix(command, "\\")
			if n := len(steps); command == "echo $?" && n > 1 {
				steps[n-2].MayFail = true
			}
		case len(steps) == 0:
			return nil, fmt.Errorf("line %d: output before the first command of a block", start+i+1)
		default:
			last := &steps[len(steps)-1]
			last.Want = append(last.Want, line)
		}
	}
	if goesOn {
		return nil, fmt.Errorf("line %d: the block ends within a continued command", start)
	}
	return steps, nil
}
