package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sync/atomic"
)

// recordStore keeps records in files, without HTTP. Operations on different
// records may be concurrent. set does not use value after it has returned.
type recordStore interface {
	set(i int, value []byte) error
	get(i int) ([]byte, error)
	// sync makes the disk take over everything that was set.
	sync() error
	close() error
}

// recordSubject is a store under test, with what its records should be.
type recordSubject struct {
	label  string
	store  recordStore
	values [][]byte
	writes []uint64 // of each record; the count is part of the value
	turn   []int    // per worker
	fault  atomic.Pointer[error]
}

func newRecordSubject(label string, st recordStore, records int) *recordSubject {
	s := &recordSubject{label: label, store: st, writes: make([]uint64, records), turn: make([]int, manyWriters)}
	for i := range records {
		_, value := record(i)
		s.values = append(s.values, value)
	}
	return s
}

// fill stores all records, and reads them back.
func (s *recordSubject) fill() error {
	if err := s.fillUnverified(); err != nil {
		return err
	}
	return s.verify()
}

func (s *recordSubject) fillUnverified() error {
	for i := range s.values {
		if err := s.set(i); err != nil {
			return fmt.Errorf("%s: set: %w", s.label, err)
		}
	}
	return nil
}

// set writes the next value of a record, which contains the number of its
// writes.
func (s *recordSubject) set(i int) error {
	s.writes[i]++
	binary.LittleEndian.PutUint64(s.values[i][8:], s.writes[i])
	return s.store.set(i, s.values[i])
}

func (s *recordSubject) get(i int) error {
	value, err := s.store.get(i)
	if err == nil && len(value) != valueSize {
		err = fmt.Errorf("a value of %d bytes, want %d", len(value), valueSize)
	}
	return err
}

// verify reads all records: each must be as it was last written.
func (s *recordSubject) verify() error {
	if err := s.fault.Load(); err != nil {
		return fmt.Errorf("%s: %w", s.label, *err)
	}
	for i, want := range s.values {
		got, err := s.store.get(i)
		if err != nil {
			return fmt.Errorf("%s: record %d: %w", s.label, i, err)
		}
		if !bytes.Equal(got, want) {
			return fmt.Errorf("%s: record %d is not as it was last written", s.label, i)
		}
	}
	return nil
}

// run sets or gets n records, the next ones of the worker's own share.
func (s *recordSubject) run(each func(i int) error, worker, workers, n int) {
	first, end := worker*len(s.values)/workers, (worker+1)*len(s.values)/workers
	at := min(max(first, s.turn[worker]), end-1)
	for range n {
		if err := each(at); err != nil {
			s.note(err)
		}
		if at++; at == end {
			at = first
		}
	}
	s.turn[worker] = at
}

func (s *recordSubject) note(err error) { s.fault.CompareAndSwap(nil, &err) }

// cell measures an operation. Each batch begins when the disk has nothing left
// to do.
func (s *recordSubject) cell(operation string, each func(i int) error, cores, workers int, dir string) cell {
	return cell{
		cellName: cellName{Subject: s.label, Operation: operation, Cores: cores, Waits: true},
		workers:  workers,
		before:   func() { flush(dir) },
		settle: func() {
			if err := s.store.sync(); err != nil {
				s.note(err)
			}
		},
		run: func(worker, n int) { s.run(each, worker, workers, n) },
	}
}
