package plugin

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/waddle-sessions/waddle/host/internal/rewrite"
)

// codeDir keeps the compiled code of one module below the cache directory:
//
//	<SHA-256 of the module>-<kind>-<rewriting>/wazero-…/…   code, in wazero's form
//	<SHA-256 of the module>-<kind>-<rewriting>/module       what else a start needs; see [kept]
//	<SHA-256 of the module>-<kind>-<rewriting>/sums         the sealed files
//	<SHA-256 of the module>-<kind>-<rewriting>/*.tmp        what a process is making
//
// wazero runs the code that it finds there and believes most of its numbers, and the host
// believes what it found out about the module. A file
// that was cut short or damaged would end the process, so only files whose checksum is
// in sums stay in place. That is no defence against someone who may write there, or put
// another directory in its place; the permissions of the directory and of those above
// it are. Links in it are not followed.
//
// A directory that this process may not write to, such as one from an image, is used as
// it is, if everything in it is sealed and nobody else may write to it.
type codeDir struct {
	path     string
	kept     *kept // nil if there is none
	sealed   int   // files
	readOnly bool
}

// checkedBy stands for the program that checks and rewrites modules: what another one has found out is not
// believed. It is a sum of its source, and a test says which.
const checkedBy = "44512caf3b2ddf00"

const (
	sumsName = "sums"
	partial  = ".tmp" // how names end of what is being made
	// keepCode is how long unused code is kept.
	keepCode = 30 * 24 * time.Hour
	// keepPartial is how long another process may take to write a file.
	keepPartial = 10 * time.Minute
)

// openCodeDir prepares the directory of one module, below a directory that
// prepareCacheDir has accepted.
func openCodeDir(key codeKey) (*codeDir, error) {
	d := &codeDir{path: filepath.Join(key.dir, key.name())}
	err := d.prepare()
	if isReadOnly(err) {
		d.readOnly = true
		err = d.inspect()
	}
	if err != nil {
		return nil, err
	}
	if d.sealed > 0 {
		d.kept = readKept(filepath.Join(d.path, keptName))
	}
	if d.sealed > 0 && !d.readOnly {
		now := time.Now()
		_ = os.Chtimes(filepath.Join(d.path, sumsName), now, now) // marks it as used; prune looks at it
	}
	return d, nil
}

// findCodeDir opens the directory of a module that has one, and returns nil otherwise. A module that
// will be refused gets none. Faults are said where the code is needed.
func findCodeDir(key codeKey) *codeDir {
	if _, err := os.Stat(filepath.Join(key.dir, key.name(), sumsName)); err != nil {
		return nil
	}
	d, err := openCodeDir(key)
	if err != nil {
		return nil
	}
	return d
}

// name is the name of the directory. What the rewriter adds has no short name: a sum of
// all its options stands for it, and of the program that checks and rewrites.
func (k codeKey) name() string {
	rewriting := sha256.Sum256(fmt.Appendf(nil, "%s %d %+v", checkedBy, rewrite.Version, k.rewrite))
	kind := "plain"
	switch {
	case k.rewrite.Meter:
		kind = "metered"
	case k.debug:
		kind = "debug"
	}
	return fmt.Sprintf("%x-%s-%x", k.module, kind, rewriting[:4])
}

// prepare makes the directory, and removes files that are not sealed.
func (d *codeDir) prepare() error {
	info, err := os.Stat(filepath.Dir(d.path))
	if err == nil && !ownedByProcess(info) {
		return fs.ErrPermission // it is somebody else's and stays as it is
	}
	if err := os.Mkdir(d.path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := d.checkDirectories(); err != nil {
		return err
	}
	return d.verify()
}

// checkDirectories returns an error unless the directory, and those in it, are real
// directories that others may not write to. Others could put code there with its
// checksum, and a link leads to a place that was not checked.
func (d *codeDir) checkDirectories() error {
	return filepath.WalkDir(d.path, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // another process was faster
		case err != nil:
			return err
		case path == d.path && !entry.IsDir():
			return fmt.Errorf("%s is not a directory: remove it", path)
		case !entry.IsDir():
			return nil
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return checkPrivate(path, info)
	})
}

// inspect checks a directory that the process may not write to: everything in it must
// be sealed, and nobody may write to it.
func (d *codeDir) inspect() error {
	sealed, err := d.readSums()
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s is not readable by the user of this process: chmod -R a+rX,go-w the cache directory: %w", d.path, err)
	case err != nil:
		return err
	case len(sealed) == 0:
		return fmt.Errorf("%s: this process may not write there, and there is no compiled code of this module", d.path)
	}
	return filepath.WalkDir(d.path, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			err = checkPrivate(path, info)
		}
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(d.path, path)
		if err != nil || name == sumsName {
			return err
		}
		sum, err := "", error(nil)
		if entry.Type().IsRegular() {
			sum, err = sumFile(path)
		}
		if err == nil && (sum == "" || sum != sealed[filepath.ToSlash(name)]) {
			err = fmt.Errorf("%s is not what was sealed, and this process may not remove it", path)
		}
		d.sealed++
		return err
	})
}

// isReadOnly reports whether err means that this process may not write to a directory.
func isReadOnly(err error) bool { return errors.Is(err, fs.ErrPermission) || isReadOnlyDisk(err) }

// verify removes files that are not sealed.
func (d *codeDir) verify() error {
	sealed, err := d.readSums()
	if err != nil {
		return err
	}
	return d.walk(func(path, name string, entry fs.DirEntry) error {
		if isSealed(path, name, entry, sealed) {
			d.sealed++
			return nil
		}
		if _, ok := sealed[name]; !ok && strings.HasSuffix(name, partial) {
			if info, err := entry.Info(); err == nil && time.Since(info.ModTime()) < keepPartial {
				return nil
			}
		}
		if now, err := d.readSums(); err == nil && isSealed(path, name, entry, now) { // meanwhile, by somebody else
			d.sealed++
			return nil
		}
		return os.RemoveAll(path)
	})
}

// isSealed reports whether a file is as its checksum says.
func isSealed(path, name string, entry fs.DirEntry, sealed map[string]string) bool {
	want, ok := sealed[name]
	if !ok || !entry.Type().IsRegular() || !private(path, entry) {
		return false
	}
	sum, err := sumFile(path)
	return err == nil && sum == want
}

// private reports whether nobody else may write to a file.
func private(path string, entry fs.DirEntry) bool {
	info, err := entry.Info()
	return err == nil && checkPrivate(path, info) == nil
}

// prune removes the code of modules that have not been used for keepCode. It touches
// only directories with a name that openCodeDir makes.
func prune(dir string, now time.Time) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		module, _, ok := strings.Cut(e.Name(), "-")
		if raw, err := hex.DecodeString(module); !ok || err != nil || len(raw) != sha256.Size || !e.IsDir() {
			continue
		}
		path := filepath.Join(dir, e.Name())
		info, err := os.Stat(filepath.Join(path, sumsName))
		if err != nil {
			info, err = e.Info()
		}
		if err == nil && now.Sub(info.ModTime()) > keepCode {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
		}
	}
	return nil
}
