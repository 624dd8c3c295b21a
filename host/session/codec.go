package session

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"reflect"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// Codec encodes the values of a session. It must be safe for use by many
// goroutines at once.
//
// An application's own codec must bound what it decodes: values may come from a
// visitor, and without a Keyring the storage can return anything, up to
// Settings.MaxSize. Time and memory should not grow faster than the length of the
// data, and what cannot be read again should not be written. [CBOR] and [JSON]
// accept arrays and maps nested up to 1000 deep, and 500,000 elements, keys and
// values together. Beyond that both Marshal and Unmarshal return an error.
type Codec interface {
	// ID is written into every record. A record with another id than the manager's
	// codec is treated as corrupt and never decoded by guesswork. Ids from 128 on are
	// for applications.
	ID() uint8

	Marshal(v any) ([]byte, error)
	Unmarshal(data []byte, v any) error
}

// CBOR encodes values as CBOR (RFC 8949): compact, fast, and exact for Go's
// types. Times keep their nanoseconds. It is the default.
//
// A type is written by its MarshalCBOR, MarshalBinary or MarshalText if it has
// one, otherwise field by field under the names in the tags `cbor` or `json`. A
// value that would not come back is refused with ErrEncode: see [Session.Set].
//
// A value read into an interface, at any depth, is a bool, an int64 (a [big.Int]
// beyond its range), a float64, a string, a []byte, a [time.Time], a []any, a
// map[string]any, or nil. A stored struct comes back as a map there.
var CBOR Codec = newCBOR()

// JSON encodes values as JSON (RFC 8259), for records that programs in other
// languages read. A type is written by its MarshalJSON or MarshalText if it has
// one, otherwise field by field. As with [CBOR], a value that would not come back
// is refused with ErrEncode, and so is text that is not UTF-8.
//
// Numbers read into an interface, whole or not, are [json.Number], so that large
// ones survive. Times and bytes are strings there.
var JSON Codec = jsonCodec{}

var (
	typeTime   = reflect.TypeFor[time.Time]()
	typeBigInt = reflect.TypeFor[big.Int]()
)

type cborCodec struct {
	enc cbor.EncMode
	dec cbor.DecMode
}

func newCBOR() Codec {
	enc, err := cbor.EncOptions{
		Sort:    cbor.SortNone,
		Time:    cbor.TimeRFC3339Nano,
		TimeTag: cbor.EncTagRequired,
		// For types that show nothing but their text.
		TextMarshaler: cbor.TextMarshalerTextString,
	}.EncMode()
	if err != nil {
		panic(err) // the options are constants
	}
	// Whatever could be encoded and stored must be decodable: the encoder takes strings
	// that are not UTF-8, and boundCBOR has already bounded the rest.
	dec, err := cbor.DecOptions{
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
		DefaultMapType:   reflect.TypeFor[map[string]any](),
		MaxArrayElements: maxItems,
		MaxMapPairs:      maxItems,
		MaxNestedLevels:  maxNesting * (1 + maxTags),
		IndefLength:      cbor.IndefLengthForbidden,
		UTF8:             cbor.UTF8DecodeInvalid,
		IntDec:           cbor.IntDecConvertSignedOrBigInt,
		TextUnmarshaler:  cbor.TextUnmarshalerTextString,
	}.DecMode()
	if err != nil {
		panic(err)
	}
	return cborCodec{enc, dec}
}

func (cborCodec) ID() uint8 { return 1 }

func (c cborCodec) Marshal(v any) ([]byte, error) {
	if _, err := cborForm.check(v); err != nil {
		return nil, err
	}
	data, err := c.enc.Marshal(v)
	if err == nil {
		err = boundCBOR(data)
	}
	if err != nil {
		return nil, err
	}
	return data, nil
}

func (c cborCodec) Unmarshal(data []byte, v any) error {
	if len(data) > unbounded {
		if err := boundCBOR(data); err != nil {
			return err
		}
	}
	return c.dec.Unmarshal(data, v)
}

type jsonCodec struct{}

func (jsonCodec) ID() uint8 { return 2 }

func (jsonCodec) Marshal(v any) ([]byte, error) {
	byPointer, err := jsonForm.check(v)
	if err != nil {
		return nil, err
	}
	if byPointer {
		p := reflect.New(reflect.TypeOf(v))
		p.Elem().Set(reflect.ValueOf(v))
		v = p.Interface()
	}
	data, err := json.Marshal(v)
	if err == nil && replaced(data) {
		return nil, fmt.Errorf("text is not UTF-8: must be UTF-8 in JSON; use []byte")
	}
	if err == nil {
		err = boundJSON(data)
	}
	if err != nil {
		return nil, err
	}
	return data, nil
}

// replaced reports whether json.Marshal replaced text that it could not write. It
// then writes an escape that it uses for nothing else.
func replaced(data []byte) bool {
	for {
		at := bytes.Index(data, []byte(`\ufffd`))
		if at < 0 {
			return false
		}
		backslashes := 1
		for backslashes <= at && data[at-backslashes] == '\\' {
			backslashes++
		}
		if backslashes%2 == 1 {
			return true
		}
		data = data[at+1:]
	}
}

func (jsonCodec) Unmarshal(data []byte, v any) error {
	if len(data) > unbounded {
		if err := boundJSON(data); err != nil {
			return err
		}
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("session: more than one JSON value: must be one")
	}
	return nil
}
