package session

import (
	"fmt"
	"net/http"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Setting is one of the [Settings] in words, for a page, a log or a command line
// to show.
type Setting struct {
	Field    string // of Settings
	Variable string // of the environment; empty if only a program can set it
	Value    string
	Changed  bool // from what Defaults has
}

// Describe returns all settings in words, in the order of the fields. Where a
// setting has a variable, the value is one that the variable takes, or "none" or
// "off" where nothing is set.
//
// No secret is among them: of a keyring it tells the number of keys, of functions
// and other things that have no text only whether the program set them.
func (s Settings) Describe() []Setting {
	defaults := Defaults()
	var all []Setting
	v, d := reflect.ValueOf(s), reflect.ValueOf(defaults)
	for i := range v.NumField() {
		field := v.Type().Field(i)
		// Two fields are shown in the values of others, as variables have them.
		if !field.IsExported() || field.Name == "CookieSecureAuto" || field.Name == "TrustUnixSockets" {
			continue
		}
		value, usual := inWords(field.Name, v.Field(i), d.Field(i)), inWords(field.Name, d.Field(i), d.Field(i))
		if field.Name == "CookieSecure" && s.CookieSecureAuto {
			value = "auto"
		}
		if field.Name == "TrustedProxies" && s.TrustUnixSockets {
			value = strings.TrimSuffix("unix,"+value, ",none")
		}
		all = append(all, Setting{field.Name, variableOf(field.Name), value, value != usual})
	}
	return all
}

// variableOf returns the variable that sets a field: the one whose name is the
// field's but for underscores.
func variableOf(field string) string {
	if field == "Keyring" {
		return secretVariable
	}
	for _, v := range variables {
		if strings.EqualFold(strings.ReplaceAll(strings.TrimPrefix(v.name, envPrefix), "_", ""), field) {
			return v.name
		}
	}
	return ""
}

// inWords returns a field's value as text. What it does not know it does not
// print: somebody may keep a secret there one day.
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
	case []netip.Prefix:
		return listInWords(value, netip.Prefix.String)
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
		// By its own String method, where the type has one.
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

// durationInWords returns 168h rather than 168h0m0s.
func durationInWords(d time.Duration) string {
	if d == 0 {
		return "off"
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
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
