package mount

import (
	"runtime"
	"strings"
	"unicode/utf8"

	"github.com/tetratelabs/wazero/experimental/sys"
)

// HiddenPrefix begins the names that belong to the host, at any depth. A guest
// can neither see nor make them.
const HiddenPrefix = ".waddle"

// Longest path, name, and number of names in a path. Each name on the way costs
// system calls that a guest is not charged for.
const (
	MaxPath  = 4096
	maxName  = 255
	maxDepth = 32
)

// name is a guest's path in its one form: names with single slashes between
// them, "." for the mounted directory itself.
type name struct {
	path   string
	depth  int
	isDir  bool // a slash at the end means that it must be a directory
	hidden bool
}

func (n name) isRoot() bool { return n.depth == 0 }

// parse brings a path into its one form. wazero has already resolved "..", so a
// path that still has it is refused. A slash at the beginning means the mounted
// directory: wazero puts it there if "." was opened as a directory.
func parse(path string) (n name, errno sys.Errno) {
	if path == "" {
		return n, sys.ENOENT
	}
	if len(path) > MaxPath {
		return n, sys.ENAMETOOLONG
	}
	if strings.IndexByte(path, 0) >= 0 || !utf8.ValidString(path) {
		return n, sys.EINVAL
	}
	clean, start := true, 0
	for i := 0; i <= len(path); i++ {
		if i < len(path) && path[i] != '/' {
			continue
		}
		part := path[start:i]
		start = i + 1
		switch {
		case part == "" || part == ".":
			n.isDir = i == len(path)
			clean = false
			continue
		case part == "..":
			return n, sys.EPERM
		case len(part) > maxName:
			return n, sys.ENAMETOOLONG
		case reserved(part):
			return n, sys.EINVAL
		}
		n.isDir = false
		n.hidden = n.hidden || hidden(part)
		n.depth++
	}
	switch {
	case n.depth > maxDepth:
		return n, sys.ENAMETOOLONG
	case n.depth == 0:
		n.path, n.isDir = ".", true
	case clean:
		n.path = path
	default:
		n.path = join(path)
	}
	return n, 0
}

func join(path string) string {
	var b strings.Builder
	b.Grow(len(path))
	for part := range strings.SplitSeq(path, "/") {
		if part == "" || part == "." {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('/')
		}
		b.WriteString(part)
	}
	return b.String()
}

// hidden reports whether a name belongs to the host. Some file systems ignore
// case, and some ignore invisible characters.
func hidden(part string) bool {
	if part[0] != HiddenPrefix[0] && part[0] < utf8.RuneSelf {
		return false
	}
	i := 0
	for _, r := range part {
		switch {
		case i == len(HiddenPrefix):
			return true
		case ignorable(r):
			continue
		case 'A' <= r && r <= 'Z':
			r += 'a' - 'A'
		}
		if r != rune(HiddenPrefix[i]) {
			return false
		}
		i++
	}
	return i == len(HiddenPrefix)
}

// ignorable reports whether HFS+ ignores a character when it compares names.
func ignorable(r rune) bool {
	return 0x200c <= r && r <= 0x200f || 0x202a <= r && r <= 0x202e || 0x206a <= r && r <= 0x206f || r == 0xfeff
}

// reserved reports whether a name means something else to the system: on
// Windows a separator, a stream, a short name or an end that is cut off.
func reserved(part string) bool {
	if runtime.GOOS != "windows" {
		return false
	}
	if strings.ContainsAny(part, `\:*?"<>|`) || strings.HasSuffix(part, ".") || strings.HasSuffix(part, " ") {
		return true
	}
	_, short, found := strings.Cut(part, "~")
	return found && short != "" && '0' <= short[0] && short[0] <= '9'
}

// find is parse for a path to look at.
func (m *FS) find(path string) (n name, errno sys.Errno) {
	if n, errno = parse(path); errno == 0 && n.hidden {
		errno = sys.ENOENT
	}
	return n, errno
}

// target is parse for a path that is about to change.
func (m *FS) target(path string) (n name, errno sys.Errno) {
	switch n, errno = parse(path); {
	case errno != 0:
		return n, errno
	case m.readOnly:
		return n, sys.EROFS
	case n.hidden:
		return n, sys.EPERM
	}
	return n, 0
}
