package session

import (
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"unicode"
)

// field is a stored field of a struct, or of a struct embedded in it.
type field struct {
	name          string // under which it is stored
	byNumber      bool
	path          string // in Go
	index         []int
	typ           reflect.Type
	tagged        bool
	behindPointer bool
}

// fieldsOf returns the stored fields of a struct, by the rules that both encoders
// share with encoding/json, and whether there are others. An exported field that
// would be left out although its tag does not say so is a fault: another field
// has its name, or its type cannot be reached.
func (f *form) fieldsOf(t reflect.Type) (fields []field, unseen bool, _ *fault) {
	unseen, wrong := f.gather(t, field{}, []reflect.Type{t}, &fields)
	if wrong != nil {
		return nil, unseen, wrong
	}
	type name struct {
		string
		byNumber bool
	}
	first := make(map[name]*field, len(fields))
	for i := range fields {
		this := &fields[i]
		other := first[name{this.name, this.byNumber}]
		if other == nil {
			first[name{this.name, this.byNumber}] = this
			continue
		}
		return nil, unseen, &fault{typ: t, why: fmt.Sprintf("has two fields for the name %q, %[2]s.%[3]s and %[2]s.%[4]s, of which one at most would be stored; give one another name with a tag, or leave it out with %[5]s",
			this.name, t.Name(), other.path, this.path, f.leaveOut())}
	}
	return fields, unseen, nil
}

// gather appends the fields of a struct that is at a place in another.
func (f *form) gather(t reflect.Type, at field, within []reflect.Type, fields *[]field) (unseen bool, _ *fault) {
	for i := range t.NumField() {
		sf := t.Field(i)
		name, left, byNumber := f.nameOf(sf)
		if left {
			continue
		}
		this := field{
			name: name, byNumber: byNumber, tagged: name != "", typ: sf.Type, behindPointer: at.behindPointer,
			path:  strings.TrimPrefix(at.path+"."+sf.Name, "."),
			index: append(at.index[:len(at.index):len(at.index)], i),
		}
		base := sf.Type
		for base.Kind() == reflect.Pointer {
			base = base.Elem()
		}
		if !sf.IsExported() && !(sf.Anonymous && base.Kind() == reflect.Struct) {
			unseen = unseen || sf.Name != "_" && sf.Type.Size() > 0
			continue
		}
		if !sf.Anonymous || base.Kind() != reflect.Struct || this.tagged {
			if this.name == "" {
				this.name = sf.Name
			}
			*fields = append(*fields, this)
			continue
		}
		for _, outer := range within {
			if outer == base {
				return unseen, &fault{path: "." + this.path, typ: sf.Type, why: "is embedded in itself, so it would not be stored; give the field a name"}
			}
		}
		this.behindPointer = this.behindPointer || sf.Type.Kind() == reflect.Pointer
		before := len(*fields)
		unseenBelow, wrong := f.gather(base, this, append(within[:len(within):len(within)], base), fields)
		if wrong != nil {
			return unseen, wrong
		}
		stored := len(*fields) > before
		switch {
		case sf.IsExported() && !stored && base.Size() > 0:
			return unseen, &fault{path: "." + this.path, typ: sf.Type, why: "is embedded and has " + f.opaque(base)}
		case !sf.IsExported() && stored && sf.Type.Kind() == reflect.Pointer:
			return unseen, &fault{path: "." + this.path, typ: sf.Type, why: "is a pointer in an unexported field, so it would not come back; embed the struct itself"}
		}
		unseen = unseen || unseenBelow
	}
	return unseen, nil
}

// nameOf returns the name in a field's tag, whether the field is left out, and
// whether the name is a number.
func (f *form) nameOf(sf reflect.StructField) (name string, left, byNumber bool) {
	tag := ""
	if !f.json {
		tag = sf.Tag.Get("cbor")
	}
	if tag == "" {
		tag = sf.Tag.Get("json")
	}
	if tag == "-" {
		return "", true, false
	}
	name, options, _ := strings.Cut(tag, ",")
	if f.json && strings.ContainsFunc(name, badInName) {
		name = "" // encoding/json ignores it
	}
	if !f.json {
		for option := range strings.SplitSeq(options, ",") {
			byNumber = byNumber || option == "keyasint"
		}
	}
	return name, false, byNumber
}

func badInName(r rune) bool {
	return !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", r) && !unicode.IsLetter(r) && !unicode.IsDigit(r)
}

// promoted returns the embedded field whose methods write a struct that has none
// of its own. The struct's other fields are then lost, which is a fault if it has
// any.
func promoted(t reflect.Type, m *methods) (embedded reflect.Type, _ *fault) {
	if t.Kind() != reflect.Struct {
		return nil, nil
	}
	others := 0
	for i := range t.NumField() {
		sf := t.Field(i)
		switch {
		case sf.Anonymous && (sf.Type.Implements(m.marshal) || reflect.PointerTo(sf.Type).Implements(m.marshal)):
			embedded = sf.Type
		case sf.Name != "_" && sf.Type.Size() > 0:
			others++
		}
	}
	if embedded == nil || !madeByCompiler(t, m.marshalName) && !madeByCompiler(t, m.unmarshalName) {
		return nil, nil
	}
	switch {
	case embedded.Kind() == reflect.Pointer || embedded.Kind() == reflect.Interface:
		return nil, &fault{typ: t, why: fmt.Sprintf("has the %s and %s of %v, which is embedded and would not be there to read what was stored; give the field a name", m.marshalName, m.unmarshalName, embedded)}
	case others > 0:
		return nil, &fault{typ: t, why: fmt.Sprintf("has the %s or %s of %v, which is embedded and knows nothing of the other fields; give the field a name, or the struct its own methods", m.marshalName, m.unmarshalName, embedded)}
	}
	return embedded, nil
}

// madeByCompiler reports whether a method is that of an embedded field: the
// compiler then writes one for the struct, which is in no file.
func madeByCompiler(t reflect.Type, name string) bool {
	method, ok := t.MethodByName(name)
	if !ok {
		if method, ok = reflect.PointerTo(t).MethodByName(name); !ok {
			return false
		}
	}
	fn := runtime.FuncForPC(method.Func.Pointer())
	if fn == nil {
		return false
	}
	file, _ := fn.FileLine(fn.Entry())
	return file == "<autogenerated>"
}
