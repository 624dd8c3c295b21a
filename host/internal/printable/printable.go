// Package printable makes what a guest wrote fit for a log and a terminal.
package printable

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Cut shortens text to n bytes without leaving half a character.
func Cut(text []byte, n int) []byte {
	if len(text) <= n {
		return text
	}
	text = text[:n]
	for i := 1; i < utf8.UTFMax && i <= n; i++ {
		if c := text[n-i]; utf8.RuneStart(c) {
			if !utf8.FullRune(text[n-i:]) {
				return text[:n-i]
			}
			break
		}
	}
	return text
}

// Clean replaces control characters, what else does not print (marks that turn
// the direction of text around, for one), and bytes that are not UTF-8.
func Clean(text string) string { return replaceUnprintable(text, "") }

// CleanLines does the same but leaves line ends and tabs in place.
func CleanLines(text string) string { return replaceUnprintable(text, "\n\t") }

func replaceUnprintable(text, keep string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) && !strings.ContainsRune(keep, r) {
			return utf8.RuneError
		}
		return r
	}, text)
}
