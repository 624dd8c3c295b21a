package session

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each variable is found by the field that it sets, but for the second name of
// Duration.
func TestVariablesAreDescribed(t *testing.T) {
	described := make(map[string]bool)
	for _, s := range Defaults().Describe() {
		if s.Variable != "" {
			require.False(t, described[s.Variable], "%s is described twice", s.Variable)
			described[s.Variable] = true
		}
	}
	for _, v := range variables {
		if v.name != "SESSION_COOKIE_AGE" {
			require.True(t, described[v.name], "%s sets no field whose name is the variable's without underscores", v.name)
		}
	}
}

// What is not known is not printed.
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
