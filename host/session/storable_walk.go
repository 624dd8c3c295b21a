package session

import (
	"fmt"
	"math"
	"reflect"
)

// maxWalk is how deep a value is followed. Its encoding may be less deep, since
// pointers and interfaces are steps here and not there.
const maxWalk = 3 * maxNesting

// walk checks what the types of a value do not tell. It visits only what may hold
// such a thing.
func (f *form) walk(v reflect.Value, held bool, depth int) *fault {
	if depth > maxWalk {
		return tooDeep(v.Type())
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return f.walkInto(v.Elem(), held && !f.json, depth+1)
	case reflect.Interface:
		return f.walkInterface(v, depth)
	case reflect.Slice:
		held = held && !f.json
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			if wrong := f.walkInto(v.Index(i), held, depth+1); wrong != nil {
				return wrong.at(fmt.Sprintf("[%d]", i))
			}
		}
	case reflect.Map:
		return f.walkMap(v, held, depth)
	case reflect.Struct:
		for _, field := range f.judge(v.Type(), held).fields {
			at, err := v.FieldByIndexErr(field.index)
			if err != nil {
				continue // the embedded pointer to it is nil
			}
			if wrong := f.walkInto(at, held && !(f.json && field.behindPointer), depth+1); wrong != nil {
				return wrong.at("." + field.path)
			}
		}
	}
	return nil
}

// walkInto is walk for a value that may not need a visit.
func (f *form) walkInto(v reflect.Value, held bool, depth int) *fault {
	if v.Kind() != reflect.Interface && !f.judge(v.Type(), held).walk {
		return nil
	}
	return f.walk(v, held, depth)
}

// walkInterface judges what an interface holds, which is read back as one of the
// codec's own types.
func (f *form) walkInterface(v reflect.Value, depth int) *fault {
	if v.IsNil() {
		return nil
	}
	if v.NumMethod() > 0 {
		return &fault{typ: v.Type(), why: fmt.Sprintf("holds a %v and is an interface with methods: no codec knows what to read it into; store the value's own type", v.Elem().Type())}
	}
	return f.walkHeld(v.Interface(), depth)
}

// walkHeld is walk for what an interface holds, with a short way for what
// interfaces usually hold.
func (f *form) walkHeld(x any, depth int) *fault {
	if depth > maxWalk {
		return tooDeep(reflect.TypeOf(x))
	}
	switch x := x.(type) {
	case nil, string, bool, int, int64, float64, []byte:
		return nil
	case map[string]any:
		for _, each := range x {
			if wrong := f.walkHeld(each, depth+1); wrong != nil {
				return wrong.at("[]") // a key is data, and no error may contain data
			}
		}
		return nil
	case []any:
		for i, each := range x {
			if wrong := f.walkHeld(each, depth+1); wrong != nil {
				return wrong.at(fmt.Sprintf("[%d]", i))
			}
		}
		return nil
	}
	d := f.judge(reflect.TypeOf(x), true)
	if d.fault != nil {
		return d.fault.copy()
	}
	if !d.walk {
		return nil
	}
	return f.walk(reflect.ValueOf(x), true, depth)
}

func tooDeep(t reflect.Type) *fault {
	return &fault{typ: t, why: fmt.Sprintf("goes deeper than %d levels, or refers to itself", maxNesting)}
}

func (f *form) walkMap(v reflect.Value, held bool, depth int) *fault {
	var keys map[any]bool // as they are read back, if that may make two into one
	if v.Type().Key().Kind() == reflect.Interface {
		keys = make(map[any]bool, v.Len())
	}
	for each := v.MapRange(); each.Next(); {
		key := each.Key()
		if keys != nil {
			key = key.Elem()
			read, ok := keyRead(key, held)
			if !ok || keys[read] {
				return &fault{typ: v.Type(), why: "has a key that would not come back, or two that would become one; use strings"}
			}
			keys[read] = true
		} else if f.judge(key.Type(), held).walk {
			if wrong := f.walk(key, held, depth+1); wrong != nil {
				return wrong.at("[key]")
			}
		}
		if wrong := f.walkInto(each.Value(), held || f.json, depth+1); wrong != nil {
			return wrong.at("[]")
		}
	}
	return nil
}

// keyRead returns what a key that an interface holds is read back as. CBOR must
// read it back as itself.
func keyRead(key reflect.Value, held bool) (read any, ok bool) {
	if !key.IsValid() || cborForm.writtenBy(key.Type()) != nil {
		return nil, false
	}
	switch {
	case key.Kind() == reflect.String:
		return key.String(), true
	case held:
		return nil, false
	case key.Kind() == reflect.Bool:
		return key.Bool(), true
	case key.CanInt():
		return key.Int(), true
	case key.CanUint() && key.Kind() != reflect.Uintptr && key.Uint() <= math.MaxInt64:
		return int64(key.Uint()), true
	case key.CanFloat():
		return key.Float(), true
	}
	return nil, false
}
