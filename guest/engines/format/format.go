// Package format reads and writes the text file at the top of a directory in which a
// bundled engine keeps its records. The file names the engine, the version of the
// layout, and the number of shards:
//
//	waddle keyfolder 1
//	shards 4
//
// Engines write it, and hosts read it.
package format

import (
	"strconv"
	"strings"
)

// Name is the name of the file.
const Name = "format"

// MaxSize is how much of the file is read.
const MaxSize = 256

// Format is what the file says.
type Format struct {
	Engine  string // the engine's name
	Version int    // of the layout on disk
	Shards  int    // how many shards the keys are spread over
}

// String returns the text of the file.
func (f Format) String() string {
	return "waddle " + f.Engine + " " + strconv.Itoa(f.Version) + "\nshards " + strconv.Itoa(f.Shards) + "\n"
}

// Parse reads the text of a file; only the first two lines count. A version above 1
// may say anything after its first line: Shards is 0 unless the second line gives it
// as in version 1.
func Parse(text string) (f Format, ok bool) {
	first, rest, ok := strings.Cut(text, "\n")
	if !ok {
		return f, false
	}
	fields := strings.Split(first, " ")
	if len(fields) != 3 || fields[0] != "waddle" || !name(fields[1]) {
		return f, false
	}
	f.Engine = fields[1]
	if f.Version, ok = number(fields[2]); !ok {
		return f, false
	}
	second, _, ended := strings.Cut(rest, "\n")
	shards, isShards := strings.CutPrefix(second, "shards ")
	if f.Shards, ok = number(shards); !ok || !isShards || !ended {
		f.Shards = 0
		return f, f.Version > 1
	}
	return f, true
}

func name(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 'a' || c > 'z' {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

func number(s string) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && n > 0 && strconv.Itoa(n) == s
}
