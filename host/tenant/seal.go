package tenant

import (
	"crypto/ed25519"
	"fmt"
	"os"
	"slices"
	"strings"
)

// Seal returns the text of a manifest with the digest of its plugin as it is now and, if a
// key is given, with a signature. A file is read beneath dir. Everything else in the text
// stays as its author wrote it. Without a key, a signature that no longer counts stays as
// well, for a host to refuse.
//
// Whoever seals a manifest says that the plugin is the one that is meant. A bundled plugin
// is part of the program and needs no seal: then the text comes back as it is. Seal returns
// [ErrManifest] if the manifest would not be valid.
func Seal(text []byte, dir string, key ed25519.PrivateKey) ([]byte, error) {
	f := newFaults()
	var m Manifest
	if !f.decodeManifest(text, &m) {
		return nil, f.err()
	}
	if err := f.err(); err != nil {
		return nil, err
	}
	if m.Plugin.Bundled != "" {
		_, err := ParseManifest(text)
		return text, err
	}
	var root *os.Root
	if m.Plugin.File != "" {
		var err error
		if root, err = os.OpenRoot(dir); err != nil {
			return nil, err
		}
		defer root.Close()
	}
	wasm, err := m.Plugin.read(root, int64(DefaultLimits().Module))
	if err != nil {
		f.addCause(err, "$.plugin", "cannot be used: %s", detail(err, ErrSource))
		return nil, f.err()
	}
	sum := Sum(wasm)
	if text, err = setMember(text, "plugin", "sha256", sum); err != nil {
		return nil, err
	}
	if key != nil {
		if text, err = setMember(text, "plugin", "signature", Sign(key, sum)); err != nil {
			return nil, err
		}
	}
	_, err = ParseManifest(text)
	return text, err
}

// setMember sets a member of an object in a manifest's text. Its value needs no escapes.
func setMember(text []byte, in, name, value string) ([]byte, error) {
	f := newFaults()
	root := readTree(text, f)
	if root == nil {
		return nil, f.err()
	}
	at := root.member(in)
	if at == nil {
		return nil, fmt.Errorf("%w: $.%s is missing", ErrManifest, in)
	}
	if old := at.member(name); old != nil {
		return splice(text, old.begin, old.end, `"`+value+`"`), nil
	}
	last := at.begin + 1 // behind the {
	separator := ""
	for _, member := range at.members() {
		last, separator = max(last, member.end), ","
	}
	// The new member stands as the one before it: on a line of its own, or beside it.
	before := string(text[at.begin:last])
	space := " "
	if i := strings.LastIndexByte(before, '\n'); i >= 0 {
		line := before[i+1:]
		space = "\n" + line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	}
	return splice(text, last, last, separator+space+`"`+name+`": "`+value+`"`), nil
}

func splice(text []byte, begin, end int, with string) []byte {
	return slices.Concat(text[:begin], []byte(with), text[end:])
}

// member returns a member of an object, nil for none.
func (n *node) member(name string) *node {
	o, _ := n.value.(object)
	return o.values[name]
}

func (n *node) members() map[string]*node {
	o, _ := n.value.(object)
	return o.values
}
