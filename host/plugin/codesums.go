package plugin

import (
	"bufio"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// walk calls f for everything in the directory but sums and directories of wazero. What a
// process is making is one thing, if it is a directory, too.
func (d *codeDir) walk(f func(path, name string, entry fs.DirEntry) error) error {
	return filepath.WalkDir(d.path, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // another process was faster
		}
		if err != nil {
			return err
		}
		making := entry.IsDir() && strings.HasSuffix(path, partial)
		if entry.IsDir() && !making {
			return nil
		}
		name, err := filepath.Rel(d.path, path)
		if err != nil || name == sumsName {
			return err
		}
		if err := f(path, filepath.ToSlash(name), entry); err != nil || !making {
			return err
		}
		return fs.SkipDir
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

// add seals files and moves them into the directory. The sums are written first, so that nobody who looks
// meanwhile takes one of them for a file that is not sealed. A sum without a file does no harm.
func (d *codeDir) add(files map[string]string) error {
	sealed := make(map[string]string)
	for name, from := range files {
		sum, err := sumFile(from)
		if err != nil {
			return err
		}
		sealed[name] = sum
	}
	if err := d.seal(sealed); err != nil {
		return err
	}
	for name, from := range files {
		to := filepath.Join(d.path, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return err
		}
		if err := os.Rename(from, to); err != nil {
			return err
		}
	}
	return prune(filepath.Dir(d.path), time.Now())
}

// seal writes these checksums, and those of all other files that are there.
func (d *codeDir) seal(sealed map[string]string) error {
	err := d.walk(func(path, name string, entry fs.DirEntry) error {
		if _, ok := sealed[name]; ok || strings.HasSuffix(name, partial) || !entry.Type().IsRegular() {
			return nil
		}
		sum, err := sumFile(path)
		if err == nil {
			sealed[name] = sum
		}
		return err
	})
	if err != nil {
		return err
	}
	var lines []string
	for name, sum := range sealed {
		lines = append(lines, sum+"  "+filepath.ToSlash(name)+"\n")
	}
	slices.Sort(lines)
	return d.write(filepath.Join(d.path, sumsName), []byte(strings.Join(lines, "")))
}

// write writes a file, whole or not at all.
func (d *codeDir) write(path string, content []byte) error {
	f, err := os.CreateTemp(d.path, filepath.Base(path)+"-*"+partial)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// sumFile returns the checksum of a file, with its length. It tells what was cut short or damaged by
// accident, in a fifth of the time of a sum that is proof against forgery; who could forge a file could
// write its sum, too.
func sumFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h, length := crc32.New(crc32.MakeTable(crc32.Castagnoli)), int64(0)
	for b := make([]byte, 256<<10); ; {
		n, err := f.Read(b)
		_, _ = h.Write(b[:n])
		length += int64(n)
		if err == io.EOF {
			return fmt.Sprintf("%08x-%d", h.Sum32(), length), nil
		}
		if err != nil {
			return "", err
		}
	}
}
