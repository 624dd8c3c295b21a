// Package format is the text file at the top of a directory that a bundled engine
// keeps its records in, which says which engine, in what version, and for how many
// shards:
//
//	waddle keyfolder 1
//	shards 4
//
// Engines write it and hosts read it.
package format

import (
	"strconv"
	"strings"
)

// Name is the file.
const Name = "format"

// MaxSize is how much of the file is looked at.
const MaxSize = 256

// Format is what the file says.
type Format struct {
	Engine  string // its name
	Version int    // of the layout on disk
	Shards  int    // keys are spread over that many
}

// String returns the text as it stands in the file.
func (f Format) String() string {
	return "waddle " + f.Engine + " " + strconv.Itoa(f.Version) + "\nshards " + strconv.Itoa(f.Shards) + "\n"
}

// Parse reads the text of a file, of which the first two lines count. What a version
// above 1 says after its first line is its own business: Shards is 0 if it is not
// said there as version 1 says it.
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
