package tenant

import (
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
)

// decodeManifest reads the fields of a manifest. It returns false if the text is none, so
// that nothing more can be said of it.
func (f *faults) decodeManifest(text []byte, m *Manifest) bool {
	root := readTree(text, f)
	if root == nil {
		return false
	}
	if _, ok := root.value.(object); !ok {
		f.add(root.path, "is %s: must be an object", root.kind())
		return false
	}
	f.decode(root, reflect.ValueOf(m).Elem())
	return true
}

// decode stores a node in a field, by the field's type.
func (f *faults) decode(n *node, to reflect.Value) {
	switch field := to.Addr().Interface().(type) {
	case *Bytes:
		f.decodeUnit(n, field, errBytes)
		return
	case *Duration:
		f.decodeUnit(n, field, errDuration)
		return
	case *[]byte:
		text, ok := f.text(n, "text in base64")
		if !ok {
			return
		}
		b, err := base64.StdEncoding.Strict().DecodeString(text)
		if err != nil || strings.ContainsAny(text, "\r\n") {
			f.add(n.path, "is no base64: must be text in base64 as `base64 -w0 FILE` writes it")
		}
		*field = b
		return
	}
	switch to.Kind() {
	case reflect.Struct:
		f.decodeStruct(n, to)
	case reflect.Slice:
		items, ok := n.value.([]*node)
		if !ok {
			f.add(n.path, "is %s: must be a list", f.shown(n))
			return
		}
		list := reflect.MakeSlice(to.Type(), len(items), len(items))
		for i, item := range items {
			f.decode(item, list.Index(i))
		}
		if len(items) > 0 {
			to.Set(list)
		}
	case reflect.Map:
		f.decodeMap(n, to)
	case reflect.Bool:
		b, ok := n.value.(bool)
		if !ok {
			f.add(n.path, "is %s: must be true or false", f.shown(n))
		}
		to.SetBool(b)
	case reflect.Int, reflect.Int64:
		f.decodeNumber(n, to)
	case reflect.String:
		text, _ := f.text(n, "text")
		to.SetString(text)
	}
}

func (f *faults) text(n *node, want string) (string, bool) {
	text, ok := n.value.(string)
	if !ok {
		f.add(n.path, "is %s: must be %s", f.shown(n), want)
	}
	return text, ok
}

func (f *faults) decodeNumber(n *node, to reflect.Value) {
	number, ok := n.value.(json.Number)
	if !ok {
		f.add(n.path, "is %s: must be a whole number", f.shown(n))
		return
	}
	i, err := strconv.ParseInt(number.String(), 10, 64)
	if err != nil || to.OverflowInt(i) {
		f.add(n.path, "is %s: must be a whole number of digits, up to %d", quoteNumber(number.String()), int64(1)<<(to.Type().Bits()-1)-1)
		return
	}
	to.SetInt(i)
}

func (f *faults) decodeUnit(n *node, to json.Unmarshaler, want error) {
	var text []byte
	switch v := n.value.(type) {
	case string:
		text, _ = json.Marshal(v)
	case json.Number:
		text = []byte(v)
	}
	if text == nil || to.UnmarshalJSON(text) != nil {
		f.add(n.path, "is %s: must be %v", f.shown(n), want)
	}
}

func (f *faults) decodeMap(n *node, to reflect.Value) {
	o, ok := n.value.(object)
	if !ok {
		f.add(n.path, "is %s: must be an object of names with text", f.shown(n))
		return
	}
	values := make(map[string]string, len(o.names))
	for _, name := range o.names {
		if text, ok := f.text(o.values[name], "text, in quotes also if it is a number or a truth value"); ok {
			values[name] = text
		}
	}
	if len(values) > 0 {
		to.Set(reflect.ValueOf(values))
	}
}

func (f *faults) decodeStruct(n *node, to reflect.Value) {
	o, ok := n.value.(object)
	if !ok {
		f.add(n.path, "is %s: must be an object", f.shown(n))
		return
	}
	fields := fieldsOf(to.Type())
	for _, name := range o.names {
		if i := fields.index(name); i >= 0 {
			f.decode(o.values[name], to.Field(i))
			if emptied(to.Field(i)) {
				f.add(member(n.path, name), "is empty or 0: must be more, or left out")
			}
			continue
		}
		meant := ""
		if i := fields.index(strings.ToLower(name)); i >= 0 {
			meant = "; was " + fields[i] + " meant?"
		}
		f.add(member(n.path, name), "is not a field: the fields here are %s%s", strings.Join(fields, ", "), meant)
	}
}

// emptied reports whether a field that was given has a value that means none.
func emptied(field reflect.Value) bool {
	switch field.Kind() {
	case reflect.String, reflect.Int, reflect.Int64:
		return field.IsZero()
	case reflect.Slice:
		return field.Type().Elem().Kind() == reflect.Uint8 && field.Len() == 0
	}
	return false
}

// shown is how a node is told of. What may be a secret is not shown.
func (f *faults) shown(n *node) string {
	if n.path == keyringPath {
		return "something else"
	}
	return n.kind()
}

// fieldNames are the names of a struct's fields in JSON, in its order.
type fieldNames []string

func fieldsOf(t reflect.Type) fieldNames {
	var names fieldNames
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}

func (names fieldNames) index(name string) int {
	for i, n := range names {
		if n == name {
			return i
		}
	}
	return -1
}
