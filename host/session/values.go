package session

import (
	"encoding/binary"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// MaxKey is the longest name of a value, in bytes.
const MaxKey = 255

// Values are the encoded values of a session by name, as a [RecordStore] keeps
// them: Bytes returns them, and ParseValues makes them from that again. They
// never change once made, and the zero Values has none.
//
// They are kept as one block of bytes, in their stored form: name length (one
// byte), name, value length (uvarint), value, and so on. Looking up a name walks
// the block, which for the handful of values in a session is faster than building
// a map for every request.
type Values struct {
	all   []byte // the block, after what start skips
	n     uint32
	start uint8
	own   bool // the library's own values may be among them
}

func (v Values) block() []byte { return v.all[v.start:] }

// ParseValues takes a block from Bytes. It returns ErrDecode if the block is not
// one. It keeps the block, which must not be changed any more.
func ParseValues(block []byte) (Values, error) {
	v := Values{all: block}
	for rest := block; len(rest) > 0; v.n++ {
		var key []byte
		var ok bool
		if key, _, rest, ok = nextValue(rest); !ok {
			return Values{}, fmt.Errorf("%w: value %d of the record is cut off or out of bounds", ErrDecode, v.n)
		}
		v.own = v.own || string(key[:min(len(key), len(reservedPrefix))]) == reservedPrefix
	}
	return v, nil
}

// Bytes returns the block of all values. It must not be changed.
func (v Values) Bytes() []byte { return v.block() }

// lookup returns an encoded value. It must not be changed.
func (v Values) lookup(key string) (value []byte, ok bool) {
	for rest := v.block(); len(rest) > 0; {
		var name []byte
		if name, value, rest, ok = nextValue(rest); !ok {
			return nil, false
		}
		if string(name) == key {
			return value, true
		}
	}
	return nil, false
}

// All enumerates names and encoded values, which must not be changed.
func (v Values) All() iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for rest := v.block(); len(rest) > 0; {
			name, value, next, ok := nextValue(rest)
			if !ok || !yield(string(name), value) {
				return
			}
			rest = next
		}
	}
}

func nextValue(block []byte) (key, value, rest []byte, ok bool) {
	if len(block) < 2 {
		return nil, nil, nil, false
	}
	keyLen := int(block[0])
	block = block[1:]
	if keyLen == 0 || keyLen >= len(block) {
		return nil, nil, nil, false
	}
	key, block = block[:keyLen:keyLen], block[keyLen:]
	valueLen, n := uint64(block[0]), 1
	if valueLen >= 0x80 { // most are shorter
		valueLen, n = binary.Uvarint(block)
	}
	if n <= 0 || valueLen > uint64(len(block)-n) {
		return nil, nil, nil, false
	}
	block = block[n:]
	return key, block[:valueLen:valueLen], block[valueLen:], true
}

func appendValue(block []byte, key string, value []byte) []byte {
	block = append(block, byte(len(key)))
	block = append(block, key...)
	block = binary.AppendUvarint(block, uint64(len(value)))
	return append(block, value...)
}

// reservedPrefix begins the names of the library's own values. The methods of a
// session neither show nor change them.
const reservedPrefix = "waddle."

func reserved(key string) bool { return strings.HasPrefix(key, reservedPrefix) }

// checkName is checkKey for the name of an application's value.
func checkName(key string) error {
	if reserved(key) {
		return fmt.Errorf("%w: %q begins with %q, which is the library's own", ErrKey, key, reservedPrefix)
	}
	return checkKey(key)
}

func checkKey(key string) error {
	if len(key) == 0 || len(key) > MaxKey {
		return fmt.Errorf("%w: %.40q has %d bytes: must have 1 to %d", ErrKey, key, len(key), MaxKey)
	}
	return nil
}

// overlay holds what a request changed: applied to the newest stored values, it
// gives the values to store. So two requests that change different values both
// keep their change.
type overlay struct {
	cleared bool // the values beneath do not count
	changes []change
}

type change struct {
	key     string
	value   []byte
	deleted bool
}

func (o *overlay) empty() bool { return !o.cleared && len(o.changes) == 0 }

func (o *overlay) reset() { *o = overlay{changes: o.changes[:0]} }

func (o *overlay) set(key string, value []byte) { o.put(change{key: key, value: value}) }

// delete removes a value. Nothing remains of one that is not beneath.
func (o *overlay) delete(key string, beneath Values) {
	if _, ok := beneath.lookup(key); ok && !o.cleared {
		o.put(change{key: key, deleted: true})
		return
	}
	o.changes = slices.DeleteFunc(o.changes, func(c change) bool { return c.key == key })
}

// copy returns an overlay that can be changed while o stays as it is.
func (o *overlay) copy() overlay {
	return overlay{cleared: o.cleared, changes: append(make([]change, 0, len(o.changes)+1), o.changes...)}
}

func (o *overlay) put(c change) {
	if old := o.find(c.key); old != nil {
		*old = c
		return
	}
	o.changes = append(o.changes, c)
}

func (o *overlay) clear() { *o = overlay{cleared: true, changes: o.changes[:0]} }

func (o *overlay) find(key string) *change {
	for i := range o.changes {
		if o.changes[i].key == key {
			return &o.changes[i]
		}
	}
	return nil
}

// lookup reads through the overlay.
func (o *overlay) lookup(base Values, key string) ([]byte, bool) {
	if c := o.find(key); c != nil {
		return c.value, !c.deleted
	}
	if o.cleared {
		return nil, false
	}
	return base.lookup(key)
}

// all enumerates what lookup would find.
func (o *overlay) all(base Values) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		if !o.cleared {
			for key, value := range base.All() {
				if o.find(key) == nil && !yield(key, value) {
					return
				}
			}
		}
		for _, c := range o.changes {
			if !c.deleted && !yield(c.key, c.value) {
				return
			}
		}
	}
}

// apply makes the values that the changes leave of the base, in fresh memory that has
// room bytes before them.
func (o *overlay) apply(room int, base Values) (v Values) {
	beneath := base.block()
	size := room + len(beneath)
	for _, c := range o.changes {
		size += 1 + len(c.key) + binary.MaxVarintLen32 + len(c.value)
	}
	block := make([]byte, room, size)
	if !o.cleared {
		v.own = base.own
		for rest := beneath; len(rest) > 0; {
			key, _, next, ok := nextValue(rest)
			if !ok {
				break
			}
			if o.findBytes(key) == nil {
				block = append(block, rest[:len(rest)-len(next)]...)
				v.n++
			}
			rest = next
		}
	}
	for _, c := range o.changes {
		if !c.deleted {
			block = appendValue(block, c.key, c.value)
			v.n++
			v.own = v.own || reserved(c.key)
		}
	}
	v.all, v.start = block, uint8(room)
	return v
}

func (o *overlay) findBytes(key []byte) *change {
	for i := range o.changes {
		if o.changes[i].key == string(key) {
			return &o.changes[i]
		}
	}
	return nil
}
