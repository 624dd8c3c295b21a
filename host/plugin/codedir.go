package plugin

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
)

// codeDir keeps the compiled code of one module below the cache directory:
//
//	<SHA-256 of the module>-<kind>-<rewriting>/wazero-…/…   wazero's own files
//	<SHA-256 of the module>-<kind>-<rewriting>/sums         the sealed files
//
// wazero runs the code that it finds there and believes most of its numbers. A file
// that was cut short or damaged would end the process, so only files whose checksum is
// in sums stay in place. That is no defence against someone who may write there, or put
// another directory in its place; the permissions of the directory and of those above
// it are. Links in it are not followed.
//
// A directory that this process may not write to, such as one from an image, is used as
// it is, if everything in it is sealed and nobody else may write to it.
type codeDir struct {
	path     string
	hit      bool            // holds sealed code
	sealed   map[string]bool // the names of sealed files
	readOnly bool
}

const (
	sumsName = "sums"
	// keepCode is how long unused code is kept.
	keepCode = 30 * 24 * time.Hour
	// keepPartial is how long another process may take to write a file.
	keepPartial = 10 * time.Minute
)

// openCodeDir prepares the directory of one module, below a directory that
// prepareCacheDir has accepted.
func openCodeDir(key codeKey) (*codeDir, wazero.CompilationCache, error) {
	d := &codeDir{path: filepath.Join(key.dir, key.name())}
	err := d.prepare()
	if isReadOnly(err) {
		d.readOnly = true
		err = d.inspect()
	}
	if err != nil {
		return nil, nil, err
	}
	cache, err := wazero.NewCompilationCacheWithDir(d.path)
	if err != nil {
		return nil, nil, err
	}
	if d.hit && !d.readOnly {
		now := time.Now()
		_ = os.Chtimes(filepath.Join(d.path, sumsName), now, now) // marks it as used; prune looks at it
	}
	return d, cache, nil
}

// name is the name of the directory. What the rewriter adds has no short name: a sum of
// all its options stands for it, and of its version.
func (k codeKey) name() string {
	rewriting := sha256.Sum256(fmt.Appendf(nil, "%d %+v", rewrite.Version, k.rewrite))
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
		d.hit = d.hit || err == nil
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
	d.sealed = make(map[string]bool)
	return d.walk(func(path, name string, entry fs.DirEntry) error {
		want, ok := sealed[name]
		if ok && entry.Type().IsRegular() && private(path, entry) {
			if sum, err := sumFile(path); err == nil && sum == want {
				d.hit, d.sealed[name] = true, true
				return nil
			}
		}
		if !ok && strings.HasSuffix(name, ".tmp") {
			if info, err := entry.Info(); err == nil && time.Since(info.ModTime()) < keepPartial {
				return nil
			}
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
}

// private reports whether nobody else may write to a file.
func private(path string, entry fs.DirEntry) bool {
	info, err := entry.Info()
	return err == nil && checkPrivate(path, info) == nil
}

// walk calls f for everything in the directory but directories and sums.
func (d *codeDir) walk(f func(path, name string, entry fs.DirEntry) error) error {
	return filepath.WalkDir(d.path, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // another process was faster
		}
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(d.path, path)
		if err != nil || name == sumsName {
			return err
		}
		return f(path, filepath.ToSlash(name), entry)
	})
}

func (d *codeDir) readSums() (map[string]string, error) {
	f, err := os.Open(filepath.Join(d.path, sumsName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sealed := make(map[string]string)
	lines := bufio.NewScanner(io.LimitReader(f, 1<<16))
	for lines.Scan() {
		if sum, name, ok := strings.Cut(lines.Text(), "  "); ok {
			sealed[name] = sum
		}
	}
	return sealed, nil // a damaged list seals less
}

// grown reports whether there is new code that is not sealed. The code that was there
// may be for another version of wazero or another processor, and of no use here.
func (d *codeDir) grown() (grown bool, err error) {
	err = d.walk(func(_, name string, entry fs.DirEntry) error {
		grown = grown || !d.sealed[name] && !strings.HasSuffix(name, ".tmp") && entry.Type().IsRegular()
		return nil
	})
	return grown, err
}

// seal writes the checksums of all present files.
func (d *codeDir) seal() error {
	var lines []string
	err := d.walk(func(path, name string, entry fs.DirEntry) error {
		if strings.HasSuffix(name, ".tmp") || !entry.Type().IsRegular() {
			return nil
		}
		sum, err := sumFile(path)
		if err != nil {
			return err
		}
		lines = append(lines, sum+"  "+name+"\n")
		return nil
	})
	if err != nil {
		return err
	}
	slices.Sort(lines)
	f, err := os.CreateTemp(d.path, "sums-*.tmp")
	if err != nil {
		return err
	}
	_, err = f.WriteString(strings.Join(lines, ""))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(d.path, sumsName))
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	d.hit = true
	return prune(filepath.Dir(d.path), time.Now())
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

func sumFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
