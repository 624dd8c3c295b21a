package main

import (
	"encoding/binary"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
)

const (
	now  = int64(1_767_225_600_000)
	hour = int64(3_600_000)
)

// opened is an engine with settings of its own, whatever it is opened with.
type opened struct {
	engine
	settings []string
}

func (o *opened) Open(*guest.Config) error {
	o.Close() // it may have been open
	return o.engine.Open(config(o.settings))
}

// config is what a host makes of settings.
func config(settings []string) *guest.Config { return guest.NewConfig(settings...) }

// start opens an engine with a table of its own.
func start(t *testing.T, settings ...string) (*guest.Harness, *engine) {
	t.Helper()
	h, e, err := tryStart(t, settings...)
	require.NoError(t, err)
	return h, e
}

func tryStart(t *testing.T, settings ...string) (*guest.Harness, *engine, error) {
	e := &opened{settings: settings}
	t.Cleanup(e.Close)
	h := guest.NewHarness(e, info)
	return h, &e.engine, h.Open()
}

// pairs puts names and values in order. The last value of a name counts.
func pairs(namesAndValues ...string) (list []string) {
	all := make(map[string]string)
	for i := 0; i < len(namesAndValues); i += 2 {
		all[namesAndValues[i]] = namesAndValues[i+1]
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list = append(list, name, all[name])
	}
	return list
}

// value is a value with a revision.
func value(revision uint64, text string) []byte {
	return append(binary.LittleEndian.AppendUint64(nil, revision), text...)
}

func set(key, text string, revision uint64, expect int64) guest.Write {
	return guest.Write{Key: []byte(key), Value: value(revision, text), Expires: now + hour, Now: now, Expect: expect}
}
