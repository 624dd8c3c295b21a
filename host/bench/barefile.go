package main

import (
	"context"
	"os"
	"sync/atomic"

	"github.com/waddle-sessions/waddle/host/store"
)

// bareFile does with one file the minimum that a store with a log must do: each set
// appends that many bytes, and each get reads as many. It keeps no records. If the
// same load stalls over it, the disk or the system has stalled.
type bareFile struct {
	nothing
	file   *os.File
	end    atomic.Int64
	record []byte
}

// bareFileRecords is how many fit into the file before it starts over.
const bareFileRecords = 1 << 20

func newBareFile(name string) (*bareFile, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	return &bareFile{file: f, record: make([]byte, appendHeader+valueSize)}, nil
}

func (b *bareFile) Set(context.Context, store.Write) error {
	at := (b.end.Add(1) - 1) % bareFileRecords
	_, err := b.file.WriteAt(b.record, at*int64(len(b.record)))
	return err
}

func (b *bareFile) Get(_ context.Context, key []byte, _ store.Millis) ([]byte, error) {
	written := min(b.end.Load(), bareFileRecords)
	if written < 2 {
		return nil, nil
	}
	at := (int64(key[0]) | int64(key[1])<<8 | int64(key[2])<<16) % (written - 1)
	_, err := b.file.ReadAt(make([]byte, valueSize), at*int64(len(b.record)))
	return nil, err
}

func (b *bareFile) Close(context.Context) error { return b.file.Close() }
