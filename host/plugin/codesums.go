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

// seal writes the checksums of all present files.
func (d *codeDir) seal() error {
	var lines []string
	err := d.walk(func(path, name string, entry fs.DirEntry) error {
		if strings.HasSuffix(name, partial) || !entry.Type().IsRegular() {
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
	if err := d.write(sumsName, []byte(strings.Join(lines, ""))); err != nil {
		return err
	}
	return prune(filepath.Dir(d.path), time.Now())
}

// write puts a file into the directory, whole or not at all.
func (d *codeDir) write(name string, content []byte) error {
	f, err := os.CreateTemp(d.path, name+"-*"+partial)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(d.path, name))
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
	h, length := crc32.New(castagnoli), int64(0)
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
