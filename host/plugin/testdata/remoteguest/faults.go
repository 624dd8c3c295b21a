package main

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/waddle-sessions/waddle/guest"
)

// The faults are those of guests that say "remote" and yet have something in the
// instance. As long as there is one instance, they are without fault.
//
//	caches_values   a value that the instance has read is not read again
//	caches_absence  what it has not found is not looked for again
//	deletes_here    a deletion is known to other instances when this one saves
//	touches_here    an expiry given by a touch is known to this instance alone
//	compares_here   a revision is compared with what this instance saw last
//	compares_apart  other instances may write between the comparison and the write
//	writes_in_parts other instances may read between the parts of a write
//	clear_own       clears what this instance wrote
//	sweep_own       sweeps what this instance wrote
//	keys_own        enumerates what this instance wrote
//	snapshot_own    likewise, the records
//	stats_own       counts what this instance wrote
//	save_first      makes something durable in the first instance alone
//
// With "save_own", a save makes durable what this instance wrote, which is no fault.

// unsaved has an empty file for each record that these two must still save.
const unsaved = "/data/unsaved"

// remembers returns what the instance answers without a look at the directory.
func (e *engine) remembers(key []byte, now int64) (value []byte, err error, ok bool) {
	known, ok := e.seen[string(key)]
	switch {
	case e.fault == "caches_values" && known.value != nil:
		if guest.Expired(known.expires, now) {
			return nil, guest.ErrNotFound, true
		}
		return known.value, nil, true
	case e.fault == "caches_absence" && ok && known.value == nil:
		return nil, guest.ErrNotFound, true
	case e.fault == "deletes_here" && e.deleted[string(key)]:
		return nil, guest.ErrNotFound, true
	}
	return nil, nil, false
}

// seen is what an instance read or wrote last under a key.
type seen struct {
	value   []byte // nil for nothing
	expires int64
}

func (e *engine) remember(key, value []byte, expires int64) {
	switch e.fault {
	case "caches_values", "caches_absence", "compares_here":
		e.seen[string(key)] = seen{slices.Clone(value), expires}
	}
}

// read is read with what only this instance knows.
func (e *engine) read(key []byte, now int64) (expires int64, value []byte, err error) {
	if e.deleted[string(key)] {
		return 0, nil, guest.ErrNotFound
	}
	expires, value, err = read(path(key), math.MinInt64)
	if here, ok := e.expiries[string(key)]; ok {
		expires = here
	}
	if err == nil && guest.Expired(expires, now) {
		return expires, nil, guest.ErrNotFound
	}
	return expires, value, err
}

func (e *engine) write(w guest.Write) error {
	delete(e.deleted, string(w.Key))
	delete(e.expiries, string(w.Key))
	e.own[string(w.Key)] = true
	e.remember(w.Key, append([]byte{}, w.Value...), w.Expires)
	switch e.fault {
	case "save_own", "save_first":
		if err := os.WriteFile(e.unsaved(path(w.Key)), nil, 0o600); err != nil {
			return err
		}
	case "writes_in_parts":
		return inParts(path(w.Key), encode(w.Expires, w.Value))
	}
	return write(path(w.Key), w.Expires, w.Value)
}

func (e *engine) remove(key []byte) error {
	delete(e.own, string(key))
	delete(e.expiries, string(key))
	e.remember(key, nil, 0)
	if e.fault == "deletes_here" {
		e.deleted[string(key)] = true
		return nil
	}
	return remove(path(key))
}

func (e *engine) saved() error {
	for key := range e.deleted {
		if err := remove(path([]byte(key))); err != nil {
			return err
		}
	}
	clear(e.deleted)
	if e.fault != "save_own" && (e.fault != "save_first" || e.shard != "0") {
		return nil
	}
	for key := range e.own {
		if err := remove(e.unsaved(path([]byte(key)))); err != nil {
			return err
		}
	}
	return nil
}

func (e *engine) unsaved(name string) string {
	return filepath.Join(unsaved, filepath.Base(name)+"."+e.shard)
}

// dropUnsaved does what the end of a server does to records that nobody saved.
func dropUnsaved() error {
	entries, err := os.ReadDir(unsaved)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		key, _, _ := strings.Cut(entry.Name(), ".")
		if err := remove(filepath.Join(dir, key)); err != nil {
			return err
		}
		if err := remove(filepath.Join(unsaved, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

func inParts(name string, b []byte) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	half := (len(b) + 8) / 2
	for _, part := range [][]byte{b[:half], b[half:]} {
		if _, err := f.Write(part); err != nil {
			return err
		}
	}
	return f.Truncate(int64(len(b)))
}
