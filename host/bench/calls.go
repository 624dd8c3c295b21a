package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
	"go.etcd.io/bbolt"
)

// Sizes of the bare operation: a session's key is a SHA-256, and 300 bytes hold
// a session with some values.
const (
	callKeys  = 1024
	keySize   = 32
	valueSize = 300
)

// callee is a store under test with its records prepared. One goroutine at a
// time uses it.
type callee interface {
	name() string
	set(i int) error
	get(i int) ([]byte, error)
	close() error
}

// record makes the key and value that all callees store as number i. The first
// eight bytes of the value are its revision, for callees that have revisions.
func record(i int) (key, value []byte) {
	random := rand.NewChaCha8([32]byte{1: byte(i), 2: byte(i >> 8), 3: byte(i >> 16)})
	key, value = make([]byte, keySize), make([]byte, valueSize)
	_, _ = random.Read(key)
	_, _ = random.Read(value)
	binary.LittleEndian.PutUint64(value, 1)
	return key, value
}

// storeCallee is one of our stores, called as the session layer calls it.
type storeCallee struct {
	ctx    context.Context
	label  string
	store  store.Store
	keys   [][]byte
	values [][]byte
	now    store.Millis
}

func newStoreCallee(ctx context.Context, label string, st store.Store) *storeCallee {
	c := &storeCallee{ctx: ctx, label: label, store: st, now: store.At(time.Now())}
	for i := range callKeys {
		key, value := record(i)
		c.keys, c.values = append(c.keys, key), append(c.values, value)
	}
	return c
}

func (c *storeCallee) name() string { return c.label }
func (c *storeCallee) close() error { return store.Close(c.ctx, c.store) }

func (c *storeCallee) get(i int) ([]byte, error) { return c.store.Get(c.ctx, c.keys[i], c.now) }

func (c *storeCallee) set(i int) error {
	return c.store.Set(c.ctx, store.Write{Key: c.keys[i], Value: c.values[i],
		Expires: c.now + store.Span(time.Hour), Now: c.now, Expect: abi.ExpectAny})
}

// callees are those of the part calls, by name, in the order of the table.
var callees = []struct {
	name string
	open func(ctx context.Context, a assignment) (callee, error)
}{
	{nameWasmCall, func(ctx context.Context, a assignment) (callee, error) {
		engine, err := openEngine(ctx, engineSmall)
		return newStoreCallee(ctx, a.Subject, engine), err
	}},
	{nameDynfileCached, func(ctx context.Context, a assignment) (callee, error) { return openDynfileCallee(ctx, a, nil) }},
	{nameDynfileRaw, func(ctx context.Context, a assignment) (callee, error) {
		return openDynfileCallee(ctx, a, map[string]string{"cache_bytes": "0"})
	}},
	{nameBoltCall, func(_ context.Context, a assignment) (callee, error) { return openBoltCallee(a.Dir) }},
	{nameExtism, func(ctx context.Context, _ assignment) (callee, error) { return newExtismCallee(ctx) }},
	{nameNativeCall, func(ctx context.Context, a assignment) (callee, error) {
		return newStoreCallee(ctx, a.Subject, store.NewMemory()), nil
	}},
}

// openDynfileCallee leaves it to the system when the disk gets what is set.
func openDynfileCallee(ctx context.Context, a assignment, settings map[string]string) (callee, error) {
	e := fileEnginesWith("")[0]
	e.settings = settings
	p, err := e.start(ctx, a.Dir, plugin.DurabilityClose, 0)
	if err != nil {
		return nil, err
	}
	return newStoreCallee(ctx, a.Subject, p), nil
}

// boltCallee keeps the values in a bucket of bbolt, and does not sync.
type boltCallee struct {
	db           *bbolt.DB
	keys, values [][]byte
}

var boltBucket = []byte("sessions")

func openBoltCallee(dir string) (callee, error) {
	db, err := bbolt.Open(filepath.Join(dir, "sessions.bolt"), 0o600, &bbolt.Options{NoSync: true, Timeout: time.Second})
	if err != nil {
		return nil, err
	}
	c := &boltCallee{db: db}
	for i := range callKeys {
		key, value := record(i)
		c.keys, c.values = append(c.keys, key), append(c.values, value)
	}
	return c, db.Update(func(tx *bbolt.Tx) error { _, err := tx.CreateBucket(boltBucket); return err })
}

func (c *boltCallee) name() string { return nameBoltCall }
func (c *boltCallee) close() error { return c.db.Close() }

func (c *boltCallee) set(i int) error {
	return c.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(boltBucket).Put(c.keys[i], c.values[i]) })
}

func (c *boltCallee) get(i int) (value []byte, err error) {
	err = c.db.View(func(tx *bbolt.Tx) error {
		value = bytes.Clone(tx.Bucket(boltBucket).Get(c.keys[i]))
		return nil
	})
	return value, err
}

// runCalls measures the bare operation on one core, since only one goroutine at
// a time may use an Extism plugin.
func runCalls(ctx context.Context, p plan) ([]samples, error) {
	dir, err := os.MkdirTemp("", "sessions-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var all []assignment
	for i, c := range callees {
		place := filepath.Join(dir, fmt.Sprint(i))
		if err := os.Mkdir(place, 0o700); err != nil {
			return nil, err
		}
		all = append(all, assignment{Part: partCalls, Subject: c.name, Dir: place})
	}
	return measureCrew(ctx, all, p)
}

// openCallee sets up the callee that is assigned.
func openCallee(ctx context.Context, a assignment) (*stand, error) {
	for _, each := range callees {
		if each.name != a.Subject {
			continue
		}
		c, err := each.open(ctx, a)
		if err != nil {
			return nil, err
		}
		if err := verifyCallee(c); err != nil {
			return nil, err
		}
		var fault error
		return &stand{
			cells: []cell{callCell(c, opRead, &fault), callCell(c, opWrite, &fault)},
			verify: func() error {
				if fault != nil {
					return fault
				}
				return verifyCallee(c)
			},
			close: c.close,
		}, nil
	}
	return nil, fmt.Errorf("there is no callee %q", a.Subject)
}

// measureCallees measures get and set of each, on one core.
func measureCallees(callees []callee, p plan) ([]samples, error) {
	faults := make([]error, len(callees))
	var cells []cell
	for _, op := range []operation{opRead, opWrite} {
		for n, c := range callees {
			if err := verifyCallee(c); err != nil {
				return nil, fmt.Errorf("%s: %w", c.name(), err)
			}
			cells = append(cells, callCell(c, op, &faults[n]))
		}
	}
	result, err := measure(cells, p)
	if err != nil {
		return nil, err
	}
	for n, c := range callees {
		if err := faults[n]; err != nil {
			return nil, fmt.Errorf("%s: %w", c.name(), err)
		}
	}
	return result, nil
}

// Names that the targets refer to.
const (
	nameWasmCall   = "waddle, plugin call"
	nameNativeCall = "native store"
	nameExtism     = "extism go-sdk, plugin call"
	nameBoltCall   = "bbolt"

	nameDynfileCached = "waddle, dynfile, cached"
	nameDynfileRaw    = "waddle, dynfile, not cached"
)

// verifyCallee stores all records and reads them back.
func verifyCallee(c callee) error {
	for i := range callKeys {
		if err := c.set(i); err != nil {
			return fmt.Errorf("set: %w", err)
		}
	}
	for i := range callKeys {
		_, want := record(i)
		if got, err := c.get(i); err != nil || !bytes.Equal(got, want) {
			return fmt.Errorf("get: %d bytes, %v, want the %d bytes that were set", len(got), err, len(want))
		}
	}
	return nil
}

func callCell(c callee, op operation, fault *error) cell {
	at := 0
	each := func() error { return c.set(at) }
	name := "set"
	if op == opRead {
		name = "get"
		each = func() error {
			value, err := c.get(at)
			if err == nil && len(value) != valueSize {
				err = fmt.Errorf("a value of %d bytes, want %d", len(value), valueSize)
			}
			return err
		}
	}
	return cell{cellName: cellName{Subject: c.name(), Operation: name, Cores: 1}, workers: 1, run: func(_, n int) {
		for range n {
			if err := each(); err != nil {
				*fault = err
			}
			at = (at + 1) % callKeys
		}
	}}
}
