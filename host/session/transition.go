package session

import (
	"slices"
	"strings"

	"github.com/waddle-sessions/waddle/host/store"
)

// A session outlives a change of the codec: its record is then one of several
// codecs. Record.Codec is the one that wrote last. The values that others wrote
// are told by a value of the library's own: for each the codec's id, one byte,
// and the name, behind its length.
//
// Decoding the values and encoding them anew would lose what only the
// application knows, their types.
const codecsKey = reservedPrefix + "codecs"

// checkTransition looks at the settings for a change of form.
func (s *Settings) checkTransition() error {
	known := map[uint8]bool{s.Codec.ID(): true}
	for i, c := range s.ReadCodecs {
		if c == nil {
			return wrong("%s is nil at %d: must have codecs only", setting("ReadCodecs"), i)
		}
		if known[c.ID()] {
			return wrong("%s has a second codec of id %d at %d: must have each id once, and without that of %s, which is read anyway", setting("ReadCodecs"), c.ID(), i, setting("Codec"))
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

// unsealedUntil is the end of the time for which Settings.ReadUnsealedUntil has
// records believed, 0 where none is set.
func (m *Manager) unsealedUntil() store.Millis {
	if m.settings.ReadUnsealedUntil.IsZero() {
		return 0
	}
	return store.At(m.settings.ReadUnsealedUntil)
}

// codec returns the codec of an id, nil for one that is not read.
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

// codecOf returns the id of the codec that wrote a value, as an overlay over
// the stored session has it.
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

// codecIn returns the codec of a name in a list, or another one if it is not in
// it.
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

// encoded reports whether a value is one that a codec wrote: the library's own
// have forms of their own, but for messages.
func encoded(key string) bool { return !reserved(key) || strings.HasPrefix(key, flashPrefix) }

// keepCodecs notes in the changes which values the codec of new ones did not
// write, and gives the next record that codec. A record into which nothing is
// set keeps the one that it has.
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
