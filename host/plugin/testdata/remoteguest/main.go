// Command remoteguest is a guest whose records lie elsewhere: in a directory that all
// its instances have, a file for each key, as a server would have them. With the setting
// "log" it says what it does, so that a test can hold it there. Without "touch" the host
// touches by reading and writing. With "lose" the answer of every so-manieth write gets lost,
// which is then done, or done a little later, and UNAVAILABLE. With "fault" it is one of the guests of faults.go.
package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"

	"github.com/waddle-sessions/waddle/guest"
)

// remote is "no" in a build that is to be the same guest but for what it describes.
var remote = "yes"

func main() {}

func init() {
	guest.Register(new(engine), guest.Info{Name: "elsewhere", Version: "1.0", CAS: true, Remote: remote == "yes", MaxKey: maxKey})
}

type engine struct {
	logs, touches bool
	fault         string
	shard         string

	lose, writes int64
	late         func() error // a write whose answer was lost, that the server does with the next call

	// What only a guest with a fault keeps in the instance.
	own      map[string]bool // the records that this instance wrote
	seen     map[string]seen
	expiries map[string]int64
	deleted  map[string]bool
}

func (e *engine) Open(c *guest.Config) error {
	e.logs, e.touches = c.Bool("log", false), c.Bool("touch", true)
	e.lose = c.Int("lose", 0, 0)
	e.fault, e.shard = c.String("fault", ""), c.String("shard", "0")
	e.own, e.seen = make(map[string]bool), make(map[string]seen)
	e.expiries, e.deleted = make(map[string]int64), make(map[string]bool)
	for _, name := range []string{dir, unsaved} {
		if err := os.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	if e.shard == "0" && (e.fault == "save_own" || e.fault == "save_first") {
		return dropUnsaved()
	}
	return nil
}

func (e *engine) log(word string) {
	if e.logs {
		guest.Log(guest.LevelInfo, word)
	}
}

func (e *engine) Get(key []byte, now int64) ([]byte, error) {
	e.log("get")
	if value, err, ok := e.remembers(key, now); ok {
		return value, err
	}
	expires, value, err := e.read(key, now)
	if err == nil || errors.Is(err, guest.ErrNotFound) {
		e.remember(key, value, expires)
	}
	return value, err
}

func (e *engine) Set(w guest.Write) error {
	store := func() error {
		_, old, err := e.read(w.Key, w.Now)
		if err != nil && !errors.Is(err, guest.ErrNotFound) {
			return err
		}
		found := err == nil
		if e.fault == "compares_here" {
			if known, ok := e.seen[string(w.Key)]; ok {
				old, found = known.value, known.value != nil && !guest.Expired(known.expires, w.Now)
			}
		}
		if err := w.Check(old, found); err != nil {
			return err
		}
		if w.Expired() {
			return e.remove(w.Key)
		}
		return e.write(w)
	}
	if e.fault == "compares_apart" {
		return store()
	}
	if e.lose == 0 {
		return locked(store)
	}
	w.Key, w.Value = bytes.Clone(w.Key), bytes.Clone(w.Value)
	return e.loses(func() error { return locked(store) })
}

// loses does a write as a server does whose answers get lost.
func (e *engine) loses(write func() error) error {
	if e.late != nil {
		_ = e.late()
		e.late = nil
	}
	e.writes++
	switch {
	case e.writes%e.lose != 0:
		return write()
	case e.writes%(2*e.lose) == 0:
		e.late = write
	default:
		_ = write()
	}
	return guest.Fail(guest.ErrUnavailable, "the answer got lost")
}

func (e *engine) Touch(key []byte, expires, now int64) error {
	if !e.touches {
		return guest.ErrUnsupported
	}
	return locked(func() error {
		_, value, err := e.read(key, now)
		if err != nil {
			return err
		}
		e.remember(key, value, expires)
		if e.fault == "touches_here" {
			e.expiries[string(key)] = expires
			return nil
		}
		if guest.Expired(expires, now) {
			return e.remove(key)
		}
		return write(path(key), expires, value)
	})
}

func (e *engine) Delete(key []byte, _ int64) error {
	return locked(func() error { return e.remove(key) })
}

func (e *engine) Clear(int64) error {
	e.log("clear")
	return locked(func() error {
		return each(func(key []byte) error {
			if e.fault == "clear_own" && !e.own[string(key)] {
				return nil
			}
			return e.remove(key)
		})
	})
}

func (e *engine) Save(int64) error {
	e.log("save")
	return e.saved()
}

func (e *engine) Sweep(_ int, now int64) (removed int, err error) {
	err = locked(func() error {
		return each(func(key []byte) error {
			if e.fault == "sweep_own" && !e.own[string(key)] {
				return nil
			}
			if _, _, err := e.read(key, now); !errors.Is(err, guest.ErrNotFound) {
				return err
			}
			removed++
			return remove(path(key))
		})
	})
	return removed, err
}

func (e *engine) Keys(chunk *guest.KeyChunk, cursor, now int64) (next int64, err error) {
	return from(cursor, func(key []byte) (bool, error) {
		if e.fault == "keys_own" && !e.own[string(key)] {
			return true, nil
		}
		if _, _, err := e.read(key, now); err != nil {
			return true, ignore(err, guest.ErrNotFound)
		}
		return chunk.Add(key), nil
	})
}

func (e *engine) Snapshot(chunk *guest.RecordChunk, cursor, now int64) (next int64, err error) {
	return from(cursor, func(key []byte) (bool, error) {
		if e.fault == "snapshot_own" && !e.own[string(key)] {
			return true, nil
		}
		expires, value, err := e.read(key, now)
		if err != nil {
			return true, ignore(err, guest.ErrNotFound)
		}
		return chunk.Add(key, value, expires), nil
	})
}

func (e *engine) Count() guest.Counts {
	c := guest.Counts{Bytes: -1}
	if each(func(key []byte) error {
		if e.deleted[string(key)] {
			return nil
		}
		if e.fault != "stats_own" || e.own[string(key)] {
			c.Records++
		}
		return nil
	}) != nil {
		c.Records = -1
	}
	return c
}

func ignore(err, what error) error {
	if errors.Is(err, what) {
		return nil
	}
	return err
}
