package session

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"

	"github.com/fxamacker/cbor/v2"
)

// form describes how a codec of this package encodes Go's types, as far as it
// matters for whether a value comes back. Both encoders write "nothing" without
// an error for a struct whose fields they cannot see; a form finds such types
// before they are stored.
//
// A type is judged once. Each value is checked only for what its type does not
// tell: what interfaces hold, and how deep a type that contains itself goes.
type form struct {
	name    string
	methods []methods      // in the order in which the encoder prefers them
	known   []reflect.Type // types that the encoder knows by itself
	json    bool

	judged [2]sync.Map // of reflect.Type to *verdict; the second for held values
}

// methods are a pair: what one writes, the other reads.
type methods struct {
	marshal, unmarshal         reflect.Type
	marshalName, unmarshalName string
}

var (
	jsonMethods   = pairOf[json.Marshaler, json.Unmarshaler]("MarshalJSON", "UnmarshalJSON")
	textMethods   = pairOf[encoding.TextMarshaler, encoding.TextUnmarshaler]("MarshalText", "UnmarshalText")
	binaryMethods = pairOf[encoding.BinaryMarshaler, encoding.BinaryUnmarshaler]("MarshalBinary", "UnmarshalBinary")
	cborMethods   = pairOf[cbor.Marshaler, cbor.Unmarshaler]("MarshalCBOR", "UnmarshalCBOR")
)

func pairOf[M, U any](m, u string) methods {
	return methods{reflect.TypeFor[M](), reflect.TypeFor[U](), m, u}
}

var (
	cborForm = &form{
		name:    "CBOR",
		methods: []methods{cborMethods, binaryMethods, textMethods},
		known:   []reflect.Type{typeTime, typeBigInt, reflect.TypeFor[cbor.Tag](), reflect.TypeFor[cbor.SimpleValue](), reflect.TypeFor[cbor.RawMessage](), reflect.TypeFor[cbor.ByteString]()},
	}
	jsonForm = &form{
		name:    "JSON",
		methods: []methods{jsonMethods, textMethods},
		json:    true,
	}
)

// verdict is what is known of a type.
type verdict struct {
	fault     *fault
	walk      bool    // its values must be checked
	fields    []field // of a struct written field by field
	byPointer bool    // only a pointer to it is written correctly
}

// fault is why a value cannot be stored.
type fault struct {
	path string
	typ  reflect.Type
	why  string
}

func (f *fault) Error() string {
	if f.path == "" {
		return fmt.Sprintf("%v %s", f.typ, f.why)
	}
	return fmt.Sprintf("%s of type %v %s", f.path, f.typ, f.why)
}

// at returns the fault as seen from one step above.
func (f *fault) at(step string) *fault {
	switch {
	case f == nil || strings.HasPrefix(f.path, "…"):
	case len(f.path) > maxPath:
		f.path = "…" + f.path
	default:
		f.path = step + f.path
	}
	return f
}

// maxPath keeps the path to something very deep readable.
const maxPath = 200

// copy returns a fault that may be changed: verdicts share theirs.
func (f *fault) copy() *fault {
	if f == nil {
		return nil
	}
	c := *f
	return &c
}

// check returns why a value cannot be stored, if so, and whether a pointer to it
// must be encoded in its place.
func (f *form) check(v any) (byPointer bool, err error) {
	switch v.(type) {
	case nil, string, bool, int, int64, uint64, float64, []byte, []string:
		return false, nil
	case map[string]any, []any:
		if wrong := f.walkHeld(v, 0); wrong != nil {
			return false, wrong
		}
		return false, nil
	}
	t := reflect.TypeOf(v)
	d := f.judge(t, false)
	wrong := d.fault.copy()
	if wrong == nil && d.walk {
		wrong = f.walk(reflect.ValueOf(v), false, 0)
	}
	if wrong == nil {
		return d.byPointer, nil
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if wrong.path != "" {
		wrong.at(t.Name())
	}
	return false, wrong
}

// judge returns what is known of a type. A value is held if an interface holds
// it: CBOR is then read without its type, and JSON does not find methods with a
// pointer receiver, since the value has no address. JSON treats values of maps
// the same way.
func (f *form) judge(t reflect.Type, held bool) *verdict {
	cache := &f.judged[0]
	if held {
		cache = &f.judged[1]
	}
	if d, ok := cache.Load(t); ok {
		return d.(*verdict)
	}
	d := new(verdict)
	d.walk, d.fault = f.inspect(t, held, make(map[inspected]bool))
	if t.Kind() == reflect.Struct && d.fault == nil && d.walk {
		d.fields, _, _ = f.fieldsOf(t)
	}
	if f.json && !held && d.fault == nil && t.Kind() != reflect.Pointer {
		_, fault := f.inspect(t, true, make(map[inspected]bool))
		d.byPointer = fault != nil
	}
	cached, _ := cache.LoadOrStore(t, d)
	return cached.(*verdict)
}

// inspected is a type that is being inspected further up.
type inspected struct {
	reflect.Type
	held bool
}

// inspect judges a type by all its parts.
func (f *form) inspect(t reflect.Type, held bool, above map[inspected]bool) (walk bool, _ *fault) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
		held = held && !f.json // a value behind a pointer has an address
	}
	this := inspected{t, held}
	if above[this] {
		return true, nil // it contains itself, to any depth
	}
	for _, known := range f.known {
		if t == known {
			return false, nil
		}
	}
	above[this] = true
	defer delete(above, this)
	if m := f.writtenBy(t); m != nil {
		return f.inspectMethods(t, m, held, above)
	}
	switch t.Kind() {
	case reflect.Complex64, reflect.Complex128, reflect.Chan, reflect.Func, reflect.UnsafePointer:
		return false, &fault{typ: t, why: "cannot be written in " + f.name}
	case reflect.Uintptr:
		if !f.json {
			return false, &fault{typ: t, why: "cannot be written in " + f.name}
		}
	case reflect.Interface:
		return true, nil
	case reflect.Slice:
		walk, fault := f.inspect(t.Elem(), held && !f.json, above)
		return walk, fault.at("[]")
	case reflect.Array:
		walk, fault := f.inspect(t.Elem(), held, above)
		return walk, fault.at("[]")
	case reflect.Map:
		return f.inspectMap(t, held, above)
	case reflect.Struct:
		return f.inspectStruct(t, held, above)
	}
	return false, nil
}

// writtenBy returns the methods that write a type, if it has any.
func (f *form) writtenBy(t reflect.Type) *methods {
	if t.Kind() == reflect.Interface {
		return nil
	}
	for i := range f.methods {
		if reflect.PointerTo(t).Implements(f.methods[i].marshal) {
			return &f.methods[i]
		}
	}
	return nil
}

func (f *form) inspectMethods(t reflect.Type, m *methods, held bool, above map[inspected]bool) (walk bool, _ *fault) {
	if !reflect.PointerTo(t).Implements(m.unmarshal) {
		return false, &fault{typ: t, why: fmt.Sprintf("has %s but no %s, so it would not come back", m.marshalName, m.unmarshalName)}
	}
	if f.json && held && !t.Implements(m.marshal) {
		return false, &fault{typ: t, why: fmt.Sprintf("has a %s that only a pointer has, and is in a map or an interface, where JSON does not find it: put a pointer there", m.marshalName)}
	}
	embedded, wrong := promoted(t, m)
	if wrong != nil || embedded == nil {
		return false, wrong
	}
	return f.inspect(embedded, held, above)
}

func (f *form) inspectMap(t reflect.Type, held bool, above map[inspected]bool) (walk bool, _ *fault) {
	key := t.Key()
	m := f.writtenBy(key)
	isText := key.Kind() == reflect.String && (m == nil || f.json) || m != nil && m.marshalName == textMethods.marshalName
	written := reflect.PointerTo(key)
	switch {
	case f.json && key.Kind() == reflect.String && written.Implements(textMethods.marshal) && written.Implements(textMethods.unmarshal):
		return false, &fault{typ: t, why: "has keys that are strings with MarshalText and UnmarshalText: JSON writes them without the one and reads them with the other; use strings without these, or the codec session.CBOR"}
	case f.json && key.Kind() == reflect.String:
	case f.json && m == nil && key.Kind() >= reflect.Int && key.Kind() <= reflect.Uintptr:
	case f.json && (!key.Implements(textMethods.marshal) || !reflect.PointerTo(key).Implements(textMethods.unmarshal)):
		return false, &fault{typ: t, why: "has keys that JSON cannot write: must be strings, whole numbers, or types with MarshalText and UnmarshalText"}
	case f.json:
	case held && !isText && key.Kind() != reflect.Interface:
		return false, &fault{typ: t, why: "has keys that are not text, and is in an interface, where it comes back as a map of strings: use a map of strings, or a type without the interface"}
	default:
		w, wrong := f.inspect(key, held, above)
		if wrong != nil {
			return false, wrong.at("[key]")
		}
		walk = w
	}
	walkValue, fault := f.inspect(t.Elem(), held || f.json, above)
	return walk || walkValue, fault.at("[]")
}

func (f *form) inspectStruct(t reflect.Type, held bool, above map[inspected]bool) (walk bool, _ *fault) {
	fields, unseen, wrong := f.fieldsOf(t)
	if wrong != nil {
		return false, wrong
	}
	if len(fields) == 0 && (unseen || t.NumField() > 0 && t.Size() > 0) {
		return false, &fault{typ: t, why: "has " + f.opaque(t)}
	}
	if j := jsonMethods; !f.json && unseen && reflect.PointerTo(t).Implements(j.marshal) && reflect.PointerTo(t).Implements(j.unmarshal) {
		return false, &fault{typ: t, why: "has unexported fields that only its MarshalJSON may know of; give it MarshalText, MarshalBinary or MarshalCBOR and the method that reads it, or use the codec session.JSON"}
	}
	for _, field := range fields {
		if held && field.byNumber {
			return false, &fault{typ: t, why: fmt.Sprintf("has the field %s, which is stored under a number, and is in an interface, where it comes back as a map of strings", field.path)}
		}
		w, wrong := f.inspect(field.typ, held && !(f.json && field.behindPointer), above)
		if wrong != nil {
			return false, wrong.at("." + field.path)
		}
		walk = walk || w
	}
	return walk, nil
}

// opaque says what is missing from a struct of which nothing is stored.
func (f *form) opaque(t reflect.Type) string {
	names := make([]string, 0, len(f.methods))
	for _, m := range f.methods {
		names = append(names, m.marshalName)
	}
	hint := ""
	if p := reflect.PointerTo(t); !f.json && p.Implements(jsonMethods.marshal) && p.Implements(jsonMethods.unmarshal) {
		hint = ", or, since it has MarshalJSON, use the codec session.JSON"
	}
	return fmt.Sprintf(`no exported fields and none of %s, so nothing of it would be stored; store what it is made from%s, or leave the field out with the tag %s`,
		strings.Join(names, ", "), hint, f.leaveOut())
}

func (f *form) leaveOut() string {
	if f.json {
		return "`json:\"-\"`"
	}
	return "`cbor:\"-\"`"
}
