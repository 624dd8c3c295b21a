// Command remoteguest is a guest whose records lie elsewhere: in a directory that all
// its instances have, a file for each key, as a server would have them. It says in the
// log when it gets a record, so that a test can hold it there.
package main

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/waddle-sessions/waddle/guest"
)

// remote is "no" in a build that is to be the same guest but for what it describes.
var remote = "yes"

const (
	dir  = "/data/records"
	lock = "/data/lock"
)

func main() {}

func init() {
	guest.Register(new(engine), guest.Info{Name: "elsewhere", Version: "1.0", CAS: true, Remote: remote == "yes"})
}

type engine struct{}

func (e *engine) Open(*guest.Config) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

func path(key []byte) string { return filepath.Join(dir, hex.EncodeToString(key)) }

// locked makes one step of f for all instances: a directory can be made once.
func locked(f func() error) error {
	for {
		err := os.Mkdir(lock, 0o700)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return errors.Join(f(), os.Remove(lock))
}

// read returns a record: its expiry, and its value.
func read(name string, now int64) (expires int64, value []byte, err error) {
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil, guest.ErrNotFound
	}
	if err != nil {
		return 0, nil, err
	}
	expires = int64(binary.LittleEndian.Uint64(b))
	if guest.Expired(expires, now) {
		return expires, nil, guest.ErrNotFound
	}
	return expires, b[8:], nil
}

func write(name string, expires int64, value []byte) error {
	b := append(binary.LittleEndian.AppendUint64(nil, uint64(expires)), value...)
	if err := os.WriteFile(name+".new", b, 0o600); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

func (e *engine) Get(key []byte, now int64) ([]byte, error) {
	guest.Log(guest.LevelInfo, "get")
	_, value, err := read(path(key), now)
	return value, err
}

func (e *engine) Set(w guest.Write) error {
	return locked(func() error {
		_, old, err := read(path(w.Key), w.Now)
		if err != nil && !errors.Is(err, guest.ErrNotFound) {
			return err
		}
		if err := w.Check(old, err == nil); err != nil {
			return err
		}
		if w.Expired() {
			return remove(path(w.Key))
		}
		return write(path(w.Key), w.Expires, w.Value)
	})
}

func remove(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (e *engine) Delete(key []byte, _ int64) error {
	return locked(func() error { return remove(path(key)) })
}

func (e *engine) Clear(int64) error {
	guest.Log(guest.LevelInfo, "clear")
	return locked(func() error { _, err := each(func(name string) error { return remove(name) }); return err })
}

func (e *engine) Save(int64) error {
	guest.Log(guest.LevelInfo, "save")
	return nil
}

func (e *engine) Sweep(_ int, now int64) (removed int, err error) {
	err = locked(func() error {
		_, err := each(func(name string) error {
			if _, _, err := read(name, now); !errors.Is(err, guest.ErrNotFound) {
				return err
			}
			removed++
			return remove(name)
		})
		return err
	})
	return removed, err
}

func (e *engine) Keys(chunk *guest.KeyChunk, cursor, now int64) (next int64, err error) {
	_, err = each(func(name string) error {
		if _, _, err := read(name, now); err != nil {
			if errors.Is(err, guest.ErrNotFound) {
				return nil
			}
			return err
		}
		key, err := hex.DecodeString(filepath.Base(name))
		if err == nil && !chunk.Add(key) {
			return guest.ErrNoSpace // a test has few
		}
		return err
	})
	return 0, err
}

// each runs f for each record.
func each(f func(name string) error) (n int, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	for _, entry := range entries {
		if filepath.Ext(entry.Name()) == ".new" {
			continue
		}
		if err := f(filepath.Join(dir, entry.Name())); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
