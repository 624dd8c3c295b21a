package main

import (
	"encoding/binary"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
)

const (
	now  = int64(1_767_225_600_000)
	hour = int64(3_600_000)
)

var prefixes atomic.Int64

// newPrefix returns a prefix that no other store of these tests has. It has all that means
// something in a pattern.
func newPrefix() string { return "w[a-z]*?\\^" + strconv.FormatInt(prefixes.Add(1), 10) + ":" }

// opened is an engine with settings of its own, whatever it is opened with.
type opened struct {
	engine
	settings []string
}

func (o *opened) Open(*guest.Config) error { return o.engine.Open(guest.NewConfig(o.settings...)) }

// start opens an engine at an address, with a prefix of its own.
func start(t *testing.T, address string, settings ...string) (*guest.Harness, *engine) {
	t.Helper()
	h, e, err := tryStart(t, append([]string{"addresses", address, "prefix", newPrefix()}, settings...)...)
	require.NoError(t, err)
	return h, e
}

func tryStart(t *testing.T, settings ...string) (*guest.Harness, *engine, error) {
	e := &opened{settings: settings}
	t.Cleanup(e.Close)
	h := guest.NewHarness(e, info)
	return h, &e.engine, h.Open()
}

// value is a value with a revision.
func value(revision uint64, text string) []byte {
	return append(binary.LittleEndian.AppendUint64(nil, revision), text...)
}

func set(key, text string, revision uint64, expect int64) guest.Write {
	return guest.Write{Key: []byte(key), Value: value(revision, text), Expires: now + hour, Now: now, Expect: expect}
}
