package session

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"github.com/waddle-sessions/waddle/abi"
)

// ErrNotConvertible is returned when a record has no exact counterpart in the form that
// was asked for. The error names the value, never what is in it.
var ErrNotConvertible = errors.New("session: the record cannot be converted")

// Conversion says how stored records change their form, for a tool that moves them from
// one store to another. It is about the form alone: key, revision, times, users' lists
// and what is left of ended sessions stay as they are. A program needs none of it to
// change its secret or codec: see [Keyring] and Settings.ReadCodecs.
//
// The zero Conversion is for records that are not sealed, and changes nothing.
type Conversion struct {
	// Open opens the records, nil if they are not sealed. With it, a record that is not
	// sealed is ErrNotConvertible unless Unsealed is set: sealing it would vouch for it.
	Open     *Keyring
	Unsealed bool

	// Seal seals the converted records; nil leaves them unsealed.
	Seal *Keyring

	// Codec is that of the converted values; nil leaves them as they are. It is
	// [CBOR] or [JSON]. A value keeps its kind and content:
	//
	//   - From CBOR to JSON: text, numbers, true, false, null, lists, and maps with text as
	//     keys. Values that JSON does not have are ErrNotConvertible: numbers that are not
	//     finite, text that is not UTF-8, keys of maps that are neither text nor whole
	//     numbers, and, unless AsText is set, bytes, times, and whole numbers as keys.
	//   - From JSON to CBOR: everything but a number with a fraction that no float64 has. JSON
	//     does not tell text that stands for bytes, or a key that stands for a number: both stay text,
	//     and CBOR does not read them into bytes and numbers again.
	//   - Values of other codecs are ErrNotConvertible: only the application knows them.
	//
	// Only the application knows its Go types: a struct whose tags for the two codecs differ
	// has different names in them. Settings.ReadCodecs converts value by value, with the types
	// at hand.
	Codec Codec

	// AsText lets JSON have text for bytes (base64), for times (RFC 3339) and for whole
	// numbers as keys, as codec JSON writes a []byte, a [time.Time] and a map[int]T.
	AsText bool

	// Rand gives the bits for seals, default crypto/rand.
	Rand io.Reader
}

// Converter converts stored records. It may be used by many goroutines.
type Converter struct {
	c      Conversion
	sealer *sealedStore // nil if nothing is sealed
}

// NewConverter returns a converter, or ErrSettings for a Conversion that cannot work.
func NewConverter(c Conversion) (*Converter, error) {
	switch c.Codec.(type) {
	case nil, cborCodec, jsonCodec:
	default:
		return nil, wrong("Conversion.Codec has id %d: must be CBOR or JSON", c.Codec.ID())
	}
	if c.Unsealed && c.Open == nil {
		return nil, wrong("Conversion.Unsealed is set and Open is not: must be unset without one, since no record is sealed then")
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	convert := &Converter{c: c}
	if c.Seal != nil {
		convert.sealer = &sealedStore{keyring: c.Seal, random: c.Rand}
	}
	return convert, nil
}

// Changes reports whether the converter changes anything. If not, Convert returns its
// argument unread.
func (c *Converter) Changes() bool { return c.c.Open != nil || c.c.Seal != nil || c.c.Codec != nil }

// Convert returns the new form of a value that is stored under a key. It returns
// ErrNotConvertible, and ErrDecode for a record that cannot be read: it is damaged, or
// sealed with a secret that Open does not have. A value under a key that is not a
// session's, as other programs may keep in the same store, is returned as it is.
func (c *Converter) Convert(key, value []byte) ([]byte, error) {
	if !c.Changes() || len(key) != len(storageKey{}) {
		return value, nil
	}
	plain, err := c.plain(key, value)
	if err != nil || c.sealer == nil {
		return plain, err
	}
	room := sealRooms.Get().(*sealRoom)
	defer room.free()
	sealed, err := c.sealer.seal(room, key, plain)
	return bytes.Clone(sealed), err
}

// Verify returns nil if converted is right for the value that was stored under the key: it
// opens and, but for the seal, which is never the same, has the bytes that Convert makes of
// the value. Otherwise it returns ErrDecode or an error that says what differs, or the
// errors of Convert.
func (c *Converter) Verify(key, value, converted []byte) error {
	want, found := value, converted
	if c.Changes() && len(key) == len(storageKey{}) {
		var err error
		if want, err = c.plain(key, value); err != nil {
			return err
		}
		switch sealed := isSealed(converted); {
		case c.c.Seal == nil && sealed, c.c.Seal != nil && !sealed:
			return fmt.Errorf("%w: sealed is %t: must be %t", ErrDecode, sealed, !sealed)
		case sealed:
			if found, err = c.c.Seal.open(key, bytes.Clone(converted)); err != nil {
				return err
			}
		}
	}
	if !bytes.Equal(want, found) {
		return fmt.Errorf("%w: the record differs from what was written", ErrDecode)
	}
	return nil
}

// plain returns the new form without a seal.
func (c *Converter) plain(key, value []byte) ([]byte, error) {
	switch sealed := isSealed(value); {
	case sealed && c.c.Open == nil:
		return nil, fmt.Errorf("%w: the record is sealed: its secret must be given", ErrDecode)
	case sealed:
		var err error
		if value, err = c.c.Open.open(key, bytes.Clone(value)); err != nil {
			return nil, err
		}
	case c.c.Open != nil && !c.c.Unsealed:
		return nil, fmt.Errorf("%w: it is not sealed, and a secret was given to open the records with", ErrNotConvertible)
	}
	var r Record
	if err := r.decode(value); err != nil {
		return nil, err
	}
	if int64(r.Revision) <= 0 {
		return nil, fmt.Errorf("%w: the record has revision %d: must have at least 1", ErrDecode, r.Revision)
	}
	if c.c.Codec == nil || r.State != RecordSession || isList(&r) {
		return value, nil
	}
	values, err := c.values(&r)
	if err != nil {
		return nil, err
	}
	r.Values, r.Codec = values, c.c.Codec.ID()
	b := r.encode()
	if len(b) > abi.MaxValue {
		return nil, fmt.Errorf("%w: it would have %d bytes: must have at most %d", ErrNotConvertible, len(b), abi.MaxValue)
	}
	return b, nil
}

// values returns a session's values, all by the codec.
func (c *Converter) values(r *Record) (Values, error) {
	others, _ := r.Values.lookup(codecsKey)
	var block []byte
	for name, value := range r.Values.All() {
		if name == codecsKey {
			continue
		}
		if id := codecIn(others, name, r.Codec); encoded(name) && id != c.c.Codec.ID() {
			var err error
			if value, err = c.recode(value, id); err != nil {
				return Values{}, fmt.Errorf("%w: value %q: %w", ErrNotConvertible, shortened(name), err)
			}
		}
		block = appendValue(block, name, value)
	}
	return ParseValues(block)
}

func shortened(name string) string { return name[:min(len(name), 40)] }

// recode returns a value as the codec would have written it.
func (c *Converter) recode(data []byte, id uint8) ([]byte, error) {
	switch id {
	case CBOR.ID():
		v, err := decodeExactCBOR(data)
		if err != nil {
			return nil, err
		}
		return exactJSON{asText: c.c.AsText}.encode(v)
	case JSON.ID():
		return cborOfJSON(data)
	}
	return nil, fmt.Errorf("codec %d wrote it, which only the application knows; let the application convert it, with Settings.ReadCodecs", id)
}
