package session

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fxamacker/cbor/v2"
)

// decodeExactCBOR decodes all that [CBOR] writes, and keeps its kinds apart. Errors do
// not quote the value.
func decodeExactCBOR(data []byte) (v any, err error) {
	if err := boundCBOR(data); err != nil {
		return nil, err
	}
	if err := cborShown.Unmarshal(data, &v); err != nil {
		return nil, errors.New("it is damaged: codec CBOR does not read it")
	}
	return v, nil
}

// exactJSON writes decoded CBOR as JSON that means the same.
type exactJSON struct{ asText bool }

func (e exactJSON) encode(v any) ([]byte, error) {
	var b bytes.Buffer
	if err := e.write(&b, v); err != nil {
		return nil, err
	}
	return b.Bytes(), boundJSON(b.Bytes())
}

const withAsText = "; Conversion.AsText makes them text"

func (e exactJSON) write(b *bytes.Buffer, v any) error {
	switch v := v.(type) {
	case nil, bool, int64:
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return errors.New("a number is not finite, which JSON does not have")
		}
	case big.Int:
		b.WriteString(v.String())
		return nil
	case string:
		if !utf8.ValidString(v) {
			return errors.New("text is not UTF-8, which JSON does not have")
		}
	case []byte:
		if !e.asText {
			return errors.New("bytes, which JSON does not have" + withAsText)
		}
		return e.write(b, base64.StdEncoding.EncodeToString(v))
	case time.Time:
		if !e.asText {
			return errors.New("a time, which JSON does not have" + withAsText)
		}
	case []any:
		return e.list(b, v)
	case map[any]any:
		return e.object(b, v)
	default:
		return fmt.Errorf("a CBOR item of kind %T, which JSON does not have", v)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return errors.New("codec JSON does not write it")
	}
	b.Write(text)
	return nil
}

func (e exactJSON) list(b *bytes.Buffer, list []any) error {
	b.WriteByte('[')
	for i, v := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := e.write(b, v); err != nil {
			return err
		}
	}
	b.WriteByte(']')
	return nil
}

// object writes members in the order of their keys, as package json does, so that the
// same map has the same bytes each time.
func (e exactJSON) object(b *bytes.Buffer, members map[any]any) error {
	named := make(map[string]any, len(members))
	for key, v := range members {
		name, err := e.key(key)
		if err != nil {
			return err
		}
		if _, twice := named[name]; twice {
			return errors.New("a map has a number and its text as keys, which would be the same in JSON")
		}
		named[name] = v
	}
	b.WriteByte('{')
	for i, name := range slices.Sorted(maps.Keys(named)) {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := e.write(b, name); err != nil {
			return err
		}
		b.WriteByte(':')
		if err := e.write(b, named[name]); err != nil {
			return err
		}
	}
	b.WriteByte('}')
	return nil
}

func (e exactJSON) key(key any) (string, error) {
	switch key := key.(type) {
	case string:
		return key, nil
	case int64, uint64:
		if !e.asText {
			return "", errors.New("whole numbers as keys of a map, which JSON does not have" + withAsText)
		}
		return fmt.Sprint(key), nil
	}
	return "", fmt.Errorf("keys of a map of kind %T, which JSON does not have", key)
}

// cborExact writes as [CBOR] does, and the same bytes for the same map each time.
var cborExact = func() cbor.EncMode {
	mode, err := cbor.EncOptions{Sort: cbor.SortBytewiseLexical}.EncMode()
	if err != nil {
		panic(err) // the options are constants
	}
	return mode
}()

// cborOfJSON converts a value that [JSON] wrote.
func cborOfJSON(data []byte) ([]byte, error) {
	var v any
	if err := JSON.Unmarshal(data, &v); err != nil {
		return nil, errors.New("it is damaged: codec JSON does not read it")
	}
	v, err := withNumbers(v)
	if err != nil {
		return nil, err
	}
	b, err := cborExact.Marshal(v)
	if err != nil {
		return nil, errors.New("codec CBOR does not write it")
	}
	return b, boundCBOR(b)
}

// withNumbers replaces the text of numbers by numbers.
func withNumbers(v any) (_ any, err error) {
	switch v := v.(type) {
	case json.Number:
		return exactNumber(string(v))
	case []any:
		for i := range v {
			if v[i], err = withNumbers(v[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for name := range v {
			if v[name], err = withNumbers(v[name]); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

// exactNumber returns a whole number as such, and any other as the float64 whose
// shortest text it is.
func exactNumber(text string) (any, error) {
	if !strings.ContainsAny(text, ".eE") && text != "-0" {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n, nil
		}
		n, ok := new(big.Int).SetString(text, 10)
		if !ok {
			return nil, errors.New("a number is damaged")
		}
		return *n, nil
	}
	inexact := errors.New("a number has more digits, or another exponent, than a float64 has")
	f, err := strconv.ParseFloat(text, 64)
	mantissa, _, _ := strings.Cut(strings.ToLower(text), "e")
	if err != nil || f == 0 && strings.ContainsAny(mantissa, "123456789") {
		return nil, inexact
	}
	// The exponent is that of a float64 by now, so the fractions are small.
	given, ok := new(big.Rat).SetString(text)
	shortest, _ := new(big.Rat).SetString(strconv.FormatFloat(f, 'g', -1, 64))
	if !ok || given.Cmp(shortest) != 0 {
		return nil, inexact
	}
	return f, nil
}
