package main

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/waddle-sessions/waddle/guest"
)

const (
	dir    = "/data/records"
	lock   = "/data/lock"
	maxKey = 100 // its digits are a file's name
)

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
	if len(b) < 8 {
		return 0, nil, guest.ErrCorrupt
	}
	expires = int64(binary.LittleEndian.Uint64(b))
	if guest.Expired(expires, now) {
		return expires, nil, guest.ErrNotFound
	}
	return expires, b[8:], nil
}

func encode(expires int64, value []byte) []byte {
	return append(binary.LittleEndian.AppendUint64(nil, uint64(expires)), value...)
}

func write(name string, expires int64, value []byte) error {
	beside := name + ".new"
	if err := os.WriteFile(beside, encode(expires, value), 0o600); err != nil {
		return err
	}
	return os.Rename(beside, name)
}

func remove(name string) error { return ignore(os.Remove(name), fs.ErrNotExist) }

// each runs f for each record, in the order of position.
func each(f func(key []byte) error) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var keys [][]byte
	for _, entry := range entries {
		if key, err := hex.DecodeString(entry.Name()); err == nil {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b []byte) int { return cmp.Compare(position(a), position(b)) })
	for _, key := range keys {
		if err := f(key); err != nil {
			return err
		}
	}
	return nil
}

// position is where an enumeration finds a key, whatever other keys there are.
func position(key []byte) int64 {
	h := fnv.New64a()
	_, _ = h.Write(key)
	return int64(h.Sum64()>>1) | 1
}

// from enumerates from a cursor until f has no room for a key.
func from(cursor int64, f func(key []byte) (room bool, err error)) (next int64, err error) {
	full := errors.New("full")
	err = each(func(key []byte) error {
		at := position(key)
		if at < cursor {
			return nil
		}
		room, err := f(key)
		if err == nil && !room {
			next, err = at, full
		}
		return err
	})
	return next, ignore(err, full)
}
