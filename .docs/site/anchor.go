package site

import (
	"strconv"
	"strings"
	"unicode"
)

// anchors gives headings the names that GitHub gives them, so that a link to one works
// there and here.
type anchors map[string]int

func (a anchors) of(heading string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(heading) {
		switch {
		case r == ' ':
			b.WriteByte('-')
		case r == '-', r == '_', unicode.IsLetter(r), unicode.IsDigit(r), unicode.Is(unicode.M, r):
			b.WriteRune(r)
		}
	}
	id := b.String()
	n, taken := a[id]
	if !taken {
		a[id] = 0
		return id
	}
	for {
		n++
		next := id + "-" + strconv.Itoa(n)
		if _, taken := a[next]; !taken {
			a[id], a[next] = n, 0
			return next
		}
	}
}
