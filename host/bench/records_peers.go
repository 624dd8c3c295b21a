package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"github.com/alexedwards/scs/boltstore"
	"github.com/alexedwards/scs/v2"
	"github.com/dgraph-io/badger/v4"
	"github.com/gorilla/sessions"
	"go.etcd.io/bbolt"
)

// gorillaRecords are sessions of one value each. A set is one Save, a get one New,
// with a request and a response that were made in advance. Only one goroutine may
// use it.
type gorillaRecords struct {
	store    *sessions.FilesystemStore
	sessions []*sessions.Session
	requests []*http.Request
	answer   *httptest.ResponseRecorder
	blank    *http.Request
}

const gorillaValue = "record"

func openGorillaRecords(_ context.Context, dir string) (recordStore, error) {
	g := &gorillaRecords{
		store:    sessions.NewFilesystemStore(dir, gorillaKey()),
		sessions: make([]*sessions.Session, callKeys), requests: make([]*http.Request, callKeys),
		answer: httptest.NewRecorder(), blank: httptest.NewRequest("GET", "/", nil),
	}
	return g, nil
}

func (g *gorillaRecords) set(i int, value []byte) error {
	clear(g.answer.Header())
	if g.sessions[i] == nil {
		session, err := g.store.New(g.blank, gorillaName)
		if err != nil {
			return err
		}
		g.sessions[i] = session
	}
	g.sessions[i].Values[gorillaValue] = value
	if err := g.sessions[i].Save(g.blank, g.answer); err != nil {
		return err
	}
	if g.requests[i] == nil {
		g.requests[i] = httptest.NewRequest("GET", "/", nil)
		for _, cookie := range (&http.Response{Header: g.answer.Header()}).Cookies() {
			g.requests[i].AddCookie(cookie)
		}
	}
	return nil
}

func (g *gorillaRecords) get(i int) ([]byte, error) {
	session, err := g.store.New(g.requests[i], gorillaName)
	if err != nil {
		return nil, err
	}
	value, _ := session.Values[gorillaValue].([]byte)
	return value, nil
}

func (g *gorillaRecords) sync() error  { return errors.ErrUnsupported }
func (g *gorillaRecords) close() error { return nil }

// scsRecords is a store of scs.
type scsRecords struct {
	store  scs.Store
	tokens []string
	end    func() error
}

func newSCSRecords(store scs.Store, end func() error) *scsRecords {
	s := &scsRecords{store: store, end: end}
	for i := range callKeys {
		key, _ := record(i)
		s.tokens = append(s.tokens, base64.RawURLEncoding.EncodeToString(key))
	}
	return s
}

func (s *scsRecords) set(i int, value []byte) error {
	return s.store.Commit(s.tokens[i], value, time.Now().Add(time.Hour))
}

func (s *scsRecords) get(i int) ([]byte, error) {
	value, found, err := s.store.Find(s.tokens[i])
	if err == nil && !found {
		err = fmt.Errorf("record %d is missing", i)
	}
	return value, err
}

func (s *scsRecords) sync() error  { return errors.ErrUnsupported }
func (s *scsRecords) close() error { return s.end() }

// openBolt opens scs's bolt store, with the database's defaults.
func openBolt(dir string, synced bool) (*boltstore.BoltStore, func() error, error) {
	db, err := bbolt.Open(filepath.Join(dir, "sessions.bolt"), 0o600, &bbolt.Options{NoSync: !synced, Timeout: time.Second})
	if err != nil {
		return nil, nil, err
	}
	return boltstore.NewWithCleanupInterval(db, 0), db.Close, nil
}

func openBoltRecords(synced bool) func(context.Context, string) (recordStore, error) {
	return func(_ context.Context, dir string) (recordStore, error) {
		store, end, err := openBolt(dir, synced)
		if err != nil {
			return nil, err
		}
		return newSCSRecords(store, end), nil
	}
}

// badgerStore keeps scs's sessions in Badger: one transaction each, with the
// expiry as the entry's time to live. It stands for scs's own badgerstore, whose
// module was not available when this was written.
type badgerStore struct{ db *badger.DB }

var _ scs.Store = badgerStore{}

func (b badgerStore) Find(token string) (data []byte, found bool, err error) {
	err = b.db.View(func(txn *badger.Txn) error {
		item, err := txn.Get([]byte(token))
		if err != nil {
			return err
		}
		data, err = item.ValueCopy(nil)
		return err
	})
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, false, nil
	}
	return data, err == nil, err
}

func (b badgerStore) Commit(token string, data []byte, expiry time.Time) error {
	return b.db.Update(func(txn *badger.Txn) error {
		return txn.SetEntry(badger.NewEntry([]byte(token), data).WithTTL(time.Until(expiry)))
	})
}

func (b badgerStore) Delete(token string) error {
	return b.db.Update(func(txn *badger.Txn) error { return txn.Delete([]byte(token)) })
}

// openBadger opens the store, with the database's defaults.
func openBadger(dir string, synced bool) (badgerStore, func() error, error) {
	db, err := badger.Open(badger.DefaultOptions(dir).WithLogger(nil).WithSyncWrites(synced))
	if err != nil {
		return badgerStore{}, nil, err
	}
	return badgerStore{db}, db.Close, nil
}

func openBadgerRecords(synced bool) func(context.Context, string) (recordStore, error) {
	return func(_ context.Context, dir string) (recordStore, error) {
		store, end, err := openBadger(dir, synced)
		if err != nil {
			return nil, err
		}
		return newSCSRecords(store, end), nil
	}
}

// appends does the minimum of a store with a log: each record, key and value, is
// appended to one file, and the place of the newest is known. Only one goroutine
// may use it.
type appends struct {
	file   *os.File
	synced bool
	end    int64
	at     []int64
	record []byte
}

// appendHeader is what a record has besides its value: a key, a length.
const appendHeader = keySize + 8

func openAppends(synced bool) func(context.Context, string) (recordStore, error) {
	return func(_ context.Context, dir string) (recordStore, error) {
		f, err := os.OpenFile(filepath.Join(dir, "log"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
		return &appends{file: f, synced: synced, at: make([]int64, callKeys), record: make([]byte, appendHeader+valueSize)}, err
	}
}

func (a *appends) set(i int, value []byte) error {
	copy(a.record[appendHeader:], value)
	if _, err := a.file.Write(a.record); err != nil {
		return err
	}
	a.at[i] = a.end + appendHeader
	a.end += int64(len(a.record))
	if a.synced {
		return a.file.Sync()
	}
	return nil
}

func (a *appends) get(i int) ([]byte, error) {
	value := make([]byte, valueSize)
	_, err := a.file.ReadAt(value, a.at[i])
	return value, err
}

func (a *appends) sync() error  { return a.file.Sync() }
func (a *appends) close() error { return a.file.Close() }

// wholeFiles has a file for each record, written with os.WriteFile: a torn file
// stays torn. Only one goroutine may use it.
type wholeFiles struct {
	names   []string
	synced  bool
	changed map[int]bool
}

func openWholeFiles(synced bool) func(context.Context, string) (recordStore, error) {
	return func(_ context.Context, dir string) (recordStore, error) {
		w := &wholeFiles{synced: synced, changed: map[int]bool{}}
		for i := range callKeys {
			w.names = append(w.names, filepath.Join(dir, fmt.Sprint(i)))
		}
		return w, nil
	}
}

func (w *wholeFiles) set(i int, value []byte) error {
	if w.synced {
		return writeSynced(w.names[i], value)
	}
	w.changed[i] = true
	return os.WriteFile(w.names[i], value, 0o600)
}

func (w *wholeFiles) get(i int) ([]byte, error) { return os.ReadFile(w.names[i]) }

func (w *wholeFiles) sync() error {
	for i := range w.changed {
		if err := syncFile(w.names[i]); err != nil {
			return err
		}
	}
	clear(w.changed)
	return nil
}

func (w *wholeFiles) close() error { return nil }

// writeSynced is os.WriteFile followed by a sync of the file.
func writeSynced(name string, value []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(value)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncFile(name string) error {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
