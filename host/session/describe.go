package session

import (
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/waddle-sessions/waddle/host/internal/environ"
)

// Setting describes one of the [Settings] in words, for a page, a log or a
// command line.
type Setting struct {
	Field    string // of Settings
	Variable string // of the environment; empty if only a program can set it
	Value    string
	Changed  bool // from its default
}

// Describe returns all settings in force, in words, in the order of the fields.
// The value of a setting with a variable is one that the variable takes, "none"
// if nothing is set, or "set by the program" if the variable takes no such value.
//
// It contains no secret. For a keyring it gives the number of keys; for functions
// and other things without a text, only whether the program set them.
func (s Settings) Describe() []Setting {
	s = s.WithDefaults()
	defaults := Defaults()
	var all []Setting
	v, d := reflect.ValueOf(s), reflect.ValueOf(defaults)
	for i := range v.NumField() {
		field := v.Type().Field(i)
		// TrustUnixSockets is shown among the TrustedProxies, as in the variable.
		if !field.IsExported() || field.Name == "TrustUnixSockets" {
			continue
		}
		setting := Setting{Field: field.Name}
		value, usual := inWords(field.Name, v.Field(i), d.Field(i)), inWords(field.Name, d.Field(i), d.Field(i))
		if variable := variableOf(field.Name); variable != nil {
			setting.Variable = variable.name
			if variable.show != nil {
				value, usual = variable.show(&s), variable.show(&defaults)
			}
		}
		setting.Value, setting.Changed = value, value != usual
		all = append(all, setting)
	}
	return all
}

// inWords returns a field's value as text. It does not print types that it does
// not know: one of them may hold a secret some day.
func inWords(name string, v, usual reflect.Value) string {
	switch value := v.Interface().(type) {
	case time.Duration:
		return durationInWords(value)
	case time.Time:
		if value.IsZero() {
			return "none"
		}
		return value.UTC().Format(time.RFC3339)
	case http.SameSite:
		return sameSiteInWords(value)
	case Codec:
		return codecInWords(value)
	case []Codec:
		return listInWords(value, codecInWords)
	case *Keyring:
		if value == nil {
			return "none"
		}
		return counted(len(value.keys), "key")
	}
	switch lower := strings.ToLower(name); {
	case strings.Contains(lower, "secret") || strings.Contains(lower, "password"):
		// Never as text.
	case v.Kind() == reflect.String:
		if v.String() == "" {
			return "none"
		}
		return v.String()
	case v.Kind() == reflect.Bool, v.CanInt(), v.CanUint(), v.CanFloat():
		// With its own String method, if the type has one.
		return fmt.Sprint(v.Interface())
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.String:
		return listInWords(v.Convert(reflect.TypeFor[[]string]()).Interface().([]string), func(s string) string { return s })
	case v.Kind() == reflect.Slice, v.Kind() == reflect.Map:
		if v.Len() == 0 {
			return "none"
		}
		return counted(v.Len(), "entry")
	}
	switch {
	case v.IsZero():
		return "none"
	case v.Kind() == reflect.Func && usual.Pointer() == v.Pointer(),
		v.Kind() != reflect.Func && v.Comparable() && v.Equal(usual):
		return "default"
	}
	return "set by the program"
}

// durationInWords returns a duration as its variable takes it.
func durationInWords(d time.Duration) string {
	if d == Off {
		d = 0
	}
	return environ.FormatDuration(d)
}

func sameSiteInWords(mode http.SameSite) string {
	switch mode {
	case http.SameSiteLaxMode:
		return "Lax"
	case http.SameSiteStrictMode:
		return "Strict"
	case http.SameSiteNoneMode:
		return "None"
	}
	return "none"
}

func codecInWords(c Codec) string {
	if c == nil {
		return "none"
	}
	switch c.ID() {
	case CBOR.ID():
		return "CBOR"
	case JSON.ID():
		return "JSON"
	}
	return "codec " + strconv.Itoa(int(c.ID()))
}

func listInWords[T any](list []T, text func(T) string) string {
	if len(list) == 0 {
		return "none"
	}
	words := make([]string, len(list))
	for i, v := range list {
		words[i] = text(v)
	}
	return strings.Join(words, ",")
}

func counted(n int, what string) string {
	switch {
	case n == 1:
		return "1 " + what
	case strings.HasSuffix(what, "try"):
		what = strings.TrimSuffix(what, "y") + "ies"
	default:
		what += "s"
	}
	return strconv.Itoa(n) + " " + what
}
