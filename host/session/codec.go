package session

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"

	"github.com/fxamacker/cbor/v2"
)

// Codec encodes the values of a session. It must be safe for use by many
// goroutines at once.
type Codec interface {
	// ID is written into every record. A record with another id than the
	// manager's codec is taken as corrupt and never decoded by guesswork. Ids
	// from 128 on are for applications.
	ID() uint8

	Marshal(v any) ([]byte, error)
	Unmarshal(data []byte, v any) error
}

// CBOR encodes values as CBOR (RFC 8949): compact, fast, and exact for Go's
// types. Times keep their nanoseconds. It is the default.
var CBOR Codec = newCBOR()

// JSON encodes values as JSON (RFC 8259), for records that programs in other
// languages read. Numbers that are decoded into an interface value become
// json.Number, so that large integers survive.
var JSON Codec = jsonCodec{}

type cborCodec struct {
	enc cbor.EncMode
	dec cbor.DecMode
}

// maxNesting is what encoding/json allows as well.
const maxNesting = 10000

func newCBOR() Codec {
	enc, err := cbor.EncOptions{
		Sort:    cbor.SortNone,
		Time:    cbor.TimeRFC3339Nano,
		TimeTag: cbor.EncTagRequired,
	}.EncMode()
	if err != nil {
		panic(err) // the options are constants
	}
	// What could be encoded and stored must be decoded: the encoder knows no
	// limits of its own and takes strings that are not UTF-8.
	dec, err := cbor.DecOptions{
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
		DefaultMapType:   reflect.TypeFor[map[string]any](),
		MaxArrayElements: maxRecord,
		MaxMapPairs:      maxRecord,
		MaxNestedLevels:  maxNesting,
		UTF8:             cbor.UTF8DecodeInvalid,
	}.DecMode()
	if err != nil {
		panic(err)
	}
	return cborCodec{enc, dec}
}

func (cborCodec) ID() uint8 { return 1 }

func (c cborCodec) Marshal(v any) ([]byte, error) { return c.enc.Marshal(v) }

func (c cborCodec) Unmarshal(data []byte, v any) error { return c.dec.Unmarshal(data, v) }

type jsonCodec struct{}

func (jsonCodec) ID() uint8 { return 2 }

func (jsonCodec) Marshal(v any) ([]byte, error) { return json.Marshal(v) }

func (jsonCodec) Unmarshal(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("session: more than one JSON value")
	}
	return nil
}
