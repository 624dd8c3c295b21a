package session

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/internal/environ"
)

// TestVariablesAreDescribed: every variable is described, except the second
// names of Lifetime and Keyring, and this package is known to read each.
func TestVariablesAreDescribed(t *testing.T) {
	described := make(map[string]bool)
	for _, s := range Defaults().Describe() {
		if s.Variable != "" {
			require.False(t, described[s.Variable], "%s is described twice", s.Variable)
			described[s.Variable] = true
		}
	}
	var read []string
	for _, v := range variables {
		read = append(read, v.name)
		if v.name != "SESSION_COOKIE_AGE" && v.name != secretFileVariable {
			require.True(t, described[v.name], "%s is not described", v.name)
		}
		_, exists := reflect.TypeFor[Settings]().FieldByName(v.field)
		require.True(t, exists, "%s sets %s, which is no field", v.name, v.field)
	}
	require.ElementsMatch(t, environ.Names(environ.Sessions), read)
}

// TestInWordsKeepsSecrets: a value of unknown type is not printed.
func TestInWordsKeepsSecrets(t *testing.T) {
	type settings struct {
		Secret string
		Other  struct{ Key string }
		List   []struct{ Key string }
		Names  []string
	}
	var with, without settings
	with.Secret, with.Other.Key, with.List, with.Names = "hunter2", "hunter2", make([]struct{ Key string }, 2), []string{"a", "b"}
	require.Equal(t, []string{"set by the program", "set by the program", "2 entries", "a,b"}, fieldsInWords(with, without))
	require.Equal(t, []string{"none", "none", "none", "none"}, fieldsInWords(without, without))
}

func fieldsInWords(value, usual any) (all []string) {
	v, d := reflect.ValueOf(value), reflect.ValueOf(usual)
	for i := range v.NumField() {
		all = append(all, inWords(v.Type().Field(i).Name, v.Field(i), d.Field(i)))
	}
	return all
}
