package project

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Language is a language that a project can be written in.
type Language struct {
	Name  string // as an argument: "c"
	Title string // as people write it: "C"
	Needs string // the toolchain and its source
	Build string // the command that makes store.wasm, for a shell in the project
}

var languages = []Language{
	{"assemblyscript", "AssemblyScript", "Node.js with npm, which fetches the compiler", "npm install && npm run build"},
	{"c", "C", "clang with wasm-ld and wasi-libc: Debian's clang-19 lld-19 libclang-rt-19-dev-wasm32 wasi-libc, or the WASI SDK " +
		"(make WASI_SDK=/opt/wasi-sdk); and make", "make"},
	{"go", "Go", "Go 1.26 or later, and make", "go mod tidy && make"},
	{"rust", "Rust", "rustc with the target wasm32-unknown-unknown (rustup target add wasm32-unknown-unknown), and make", "make"},
	{"zig", "Zig", "zig, and make", "make"},
}

// Languages returns all languages in alphabetical order.
func Languages() []Language { return slices.Clone(languages) }

// ErrLanguage is returned when there is no such language.
var ErrLanguage = errors.New("no such language")

func lookup(name string) (Language, error) {
	names := make([]string, len(languages))
	for i, l := range languages {
		if l.Name == name {
			return l, nil
		}
		names[i] = l.Name
	}
	return Language{}, fmt.Errorf("%w: the language is %q: must be one of %s", ErrLanguage, name, strings.Join(names, ", "))
}
