// A custom storage plugin that keeps sessions in a Go map.
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o store.wasm ./custom/store
package main

import (
	"bytes"

	"github.com/waddle-sessions/waddle/guest"
)

func init() {
	guest.Register(records{}, guest.Info{Name: "map", Version: "1.0.0", CAS: true})
}

func main() {}

// records is the engine. The host makes one call at a time: no locks.
type records map[string]record

type record struct {
	value   []byte
	expires int64
}

func (r records) find(key []byte, now int64) (record, bool) {
	found, ok := r[string(key)]
	return found, ok && !guest.Expired(found.expires, now)
}

func (r records) Open(*guest.Config) error { return nil }

func (r records) Get(key []byte, now int64) ([]byte, error) {
	found, ok := r.find(key, now)
	if !ok {
		return nil, guest.ErrNotFound
	}
	return found.value, nil
}

func (r records) Set(w guest.Write) error {
	old, ok := r.find(w.Key, w.Now)
	if err := w.Check(old.value, ok); err != nil {
		return err
	}
	if w.Expired() {
		delete(r, string(w.Key))
		return nil
	}
	r[string(w.Key)] = record{bytes.Clone(w.Value), w.Expires}
	return nil
}

func (r records) Delete(key []byte, now int64) error {
	delete(r, string(key))
	return nil
}

func (r records) Clear(now int64) error {
	clear(r)
	return nil
}

// Save has nothing to write; it drops expired records.
func (r records) Save(now int64) error {
	for key, found := range r {
		if guest.Expired(found.expires, now) {
			delete(r, key)
		}
	}
	return nil
}
