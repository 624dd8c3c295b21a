package hosting

import (
	"fmt"
	"html"
	"strings"
)

// markup is a page that is written from its top. The packages for templates would add three
// megabytes to the program, since they can call any method by its name.
type markup struct{ strings.Builder }

// raw is text that is HTML already.
type raw string

// put writes a format. Its own text is HTML; what is put into it is escaped, unless it is
// raw or a number.
func (m *markup) put(format string, args ...any) {
	for i, a := range args {
		switch a := a.(type) {
		case raw, int, int64, uint64:
		case string:
			args[i] = html.EscapeString(a)
		default:
			args[i] = html.EscapeString(fmt.Sprint(a))
		}
	}
	fmt.Fprintf(&m.Builder, format, args...)
}
