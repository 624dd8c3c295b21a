package tenant

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"

	"github.com/waddle-sessions/waddle/host/engines/dynfile"
	"github.com/waddle-sessions/waddle/host/engines/keyfolder"
	"github.com/waddle-sessions/waddle/host/engines/memory"
)

// Errors about a plugin that a manifest names. Each is an [ErrManifest] as well.
var (
	ErrSource = errors.New("tenant: the plugin cannot be read")
	ErrDigest = errors.New("tenant: the plugin is not the one that the manifest means")
)

// Source says which plugin a tenant has: one of Bundled, File and Bytes.
type Source struct {
	// Bundled is the name of an engine that is part of the program: memory, keyfolder
	// or dynfile.
	Bundled string `json:"bundled,omitempty"`

	// File is the path of a .wasm file beneath the host's directory. No link leads out
	// of that.
	File string `json:"file,omitempty"`

	// Bytes are the module itself, in JSON as base64.
	Bytes []byte `json:"bytes,omitempty"`

	// SHA256 is the digest of the module in hexadecimal, in small letters. A plugin that
	// is not bundled must have one: it is what keeps a manifest from running whatever
	// lies in the file's place.
	SHA256 string `json:"sha256,omitempty"`

	// Signature is an Ed25519 signature of the digest in base64; see [Sign]. Only a host
	// with trusted keys looks at it, and needs it.
	Signature string `json:"signature,omitempty"`
}

// bundled are the engines that have a name. Those that keep files need a directory.
var bundled = []struct {
	name   string
	files  bool
	module func() ([]byte, error)
}{
	// They are unpacked once, as thousands of tenants may have the same.
	{memory.Name, false, sync.OnceValues(memory.Module)},
	{keyfolder.Name, true, sync.OnceValues(keyfolder.Module)},
	{dynfile.Name, true, sync.OnceValues(dynfile.Module)},
}

func bundledNames() string {
	var names []string
	for _, b := range bundled {
		names = append(names, b.name)
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

// keepsFiles reports whether the plugin is a bundled one that keeps files.
func (s *Source) keepsFiles() bool {
	for _, b := range bundled {
		if b.name == s.Bundled {
			return b.files
		}
	}
	return false
}

var digestPattern = regexp.MustCompile(`^[0-9a-f]{64}$`)

func (s *Source) check(f *faults) {
	given := 0
	for _, is := range []bool{s.Bundled != "", s.File != "", len(s.Bytes) > 0} {
		if is {
			given++
		}
	}
	if given != 1 {
		f.add("$.plugin", "has %d of bundled, file and bytes: must have one of them, for instance {\"bundled\": \"memory\"}", given)
		return
	}
	if s.Bundled != "" {
		known := false
		for _, b := range bundled {
			known = known || b.name == s.Bundled
		}
		if !known {
			f.add("$.plugin.bundled", "is %s: must be %s; a plugin of your own goes into file", quote(s.Bundled), bundledNames())
		}
		if s.Signature != "" {
			f.add("$.plugin.signature", "is given for a bundled plugin, which is part of the program: leave it out")
		}
	}
	if s.File != "" && !local(s.File) {
		f.add("$.plugin.file", "is %s: must be a path beneath the host's directory with / between its parts, such as \"plugins/store.wasm\", without . and ..", quote(s.File))
	}
	switch {
	case s.SHA256 == "" && s.Bundled == "":
		f.addCause(ErrDigest, "$.plugin.sha256", "is missing: must be the SHA-256 of the plugin; `waddle manifest sum` writes it")
	case s.SHA256 != "" && !digestPattern.MatchString(s.SHA256):
		f.add("$.plugin.sha256", "is %s: must be 64 hexadecimal digits in small letters, as sha256sum writes them", quote(s.SHA256))
	}
	if s.Signature != "" {
		if b, err := base64.StdEncoding.Strict().DecodeString(s.Signature); err != nil || len(b) != 64 || strings.ContainsAny(s.Signature, "\r\n") {
			f.addCause(ErrSignature, "$.plugin.signature", "is not a signature: must be the 64 bytes of an Ed25519 signature in base64")
		}
	}
}

// read returns the module, of at most so many bytes.
func (s *Source) read(root *os.Root, most int64) (wasm []byte, err error) {
	switch {
	case s.Bundled != "":
		for _, b := range bundled {
			if b.name == s.Bundled {
				return b.module()
			}
		}
		return nil, fmt.Errorf("%w: there is no bundled plugin %s", ErrSource, quote(s.Bundled))
	case s.File == "":
		wasm = s.Bytes
	case root == nil:
		return nil, fmt.Errorf("%w: the host has no directory for files", ErrSource)
	default:
		f, err := root.OpenFile(s.File, os.O_RDONLY|nonBlocking, 0)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrSource, err)
		}
		defer f.Close()
		if wasm, err = readRegular(f, most); err != nil {
			return nil, fmt.Errorf("%w: it %w", ErrSource, err)
		}
	}
	if int64(len(wasm)) > most {
		return nil, fmt.Errorf("%w: it has %d bytes: must have at most %d (limits.module)", ErrSource, len(wasm), most)
	}
	return wasm, nil
}

// Sum returns the digest of a module as a manifest has it.
func Sum(wasm []byte) string {
	sum := sha256.Sum256(wasm)
	return hex.EncodeToString(sum[:])
}
