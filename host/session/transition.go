package session

import (
	"slices"
	"strings"

	"github.com/waddle-sessions/waddle/host/store"
)

// A session outlives a change of the codec: its record then has values of several
// codecs. Record.Codec is the one that wrote last. A value of the library's own
// lists those that others wrote: for each the codec's id, one byte, and the name,
// after its length.
//
// Decoding the values and encoding them anew would lose their types, which only
// the application knows.
const codecsKey = reservedPrefix + "codecs"

// checkTransition checks the settings for a change of form.
func (s *Settings) checkTransition() error {
	known := map[uint8]bool{s.Codec.ID(): true}
	for i, c := range s.ReadCodecs {
		if c == nil {
			return wrong("%s is nil at %d: must have codecs only", setting("ReadCodecs"), i)
		}
		if known[c.ID()] {
			return wrong("%s has a second codec of id %d at %d: must have each id once, and not that of %s, which is read anyway", setting("ReadCodecs"), c.ID(), i, setting("Codec"))
		}
		known[c.ID()] = true
	}
	until, unsealed, keyring := setting("ReadUnsealedUntil"), setting("WriteUnsealed"), setting("Keyring")
	switch {
	case !s.ReadUnsealedUntil.IsZero() && s.Keyring == nil:
		return wrong("%s is set and %s is not: must be unset without one, since no record is sealed then, and all are read", until, keyring)
	case s.WriteUnsealed && s.Keyring == nil:
		return wrong("%s is set and %s is not: must be unset without one, since no record is sealed then", unsealed, keyring)
	case s.WriteUnsealed && !s.ReadUnsealedUntil.IsZero():
		return wrong("%s and %s are both set: must be one of them, since what is written unsealed has to be read without an end", until, unsealed)
	}
	return nil
}

// unsealedUntil returns the time until which Settings.ReadUnsealedUntil makes
// unsealed records count, or 0 if it is not set.
func (m *Manager) unsealedUntil() store.Millis {
	if m.settings.ReadUnsealedUntil.IsZero() {
		return 0
	}
	return store.At(m.settings.ReadUnsealedUntil)
}

// codec returns the codec with an id, or nil if it is not read.
func (m *Manager) codec(id uint8) Codec {
	if c := m.settings.Codec; c.ID() == id {
		return c
	}
	for _, c := range m.settings.ReadCodecs {
		if c.ID() == id {
			return c
		}
	}
	return nil
}

// codecOf returns the id of the codec that wrote a value, seen through an overlay
// over the stored session.
func (s *Session) codecOf(o *overlay, key string) uint8 {
	if !s.exists || o.cleared || o.find(key) != nil {
		return s.manager.settings.Codec.ID()
	}
	if s.record.Values.own {
		if list, ok := s.record.Values.lookup(codecsKey); ok {
			return codecIn(list, key, s.record.Codec)
		}
	}
	return s.record.Codec
}

// codecIn returns the codec of a name in a list, or other if it is not in there.
func codecIn(list []byte, key string, other uint8) uint8 {
	for len(list) >= 2 {
		id, end := list[0], 2+int(list[1])
		if end > len(list) {
			break
		}
		if string(list[2:end]) == key {
			return id
		}
		list = list[end:]
	}
	return other
}

// encoded reports whether a codec wrote a value: all of the library's own, except
// messages, have their own forms.
func encoded(key string) bool { return !reserved(key) || strings.HasPrefix(key, flashPrefix) }

// keepCodecs notes in the changes which values the codec of new ones did not
// write, and gives the next record that codec. A record into which nothing is set
// keeps its own.
func (s *Session) keepCodecs(next *Record, o *overlay) *overlay {
	writes := s.manager.settings.Codec.ID()
	if !s.exists || o.cleared {
		next.Codec = writes
		return o
	}
	base := s.record.Values
	list, listed := []byte(nil), false
	if base.own {
		list, listed = base.lookup(codecsKey)
	}
	if s.record.Codec == writes && !listed || !slices.ContainsFunc(o.changes, func(c change) bool { return !c.deleted && encoded(c.key) }) {
		return o
	}
	next.Codec = writes
	var others []byte
	for key := range base.All() {
		if !encoded(key) || o.find(key) != nil {
			continue
		}
		if id := codecIn(list, key, s.record.Codec); id != writes {
			others = append(others, id, byte(len(key)))
			others = append(others, key...)
		}
	}
	with := o.copy()
	if len(others) > 0 {
		with.set(codecsKey, others)
	} else if listed {
		with.delete(codecsKey, base)
	}
	return &with
}
