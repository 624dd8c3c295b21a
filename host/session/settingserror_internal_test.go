package session

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/internal/environ"
)

// TestErrorsCanNameEveryVariable that is set.
func TestErrorsCanNameEveryVariable(t *testing.T) {
	for _, variable := range environ.Names(environ.Sessions) {
		found := 0
		for _, field := range reflect.VisibleFields(reflect.TypeFor[Settings]()) {
			if setting(field.Name).in(map[string]string{variable: "set"}) == variable {
				found++
			}
		}
		require.Positive(t, found, variable)
	}
}
