package session

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEveryVariableGivesAField, so that errors can name it.
func TestEveryVariableGivesAField(t *testing.T) {
	for _, variable := range names() {
		found := 0
		for _, field := range reflect.VisibleFields(reflect.TypeFor[Settings]()) {
			if gives(variable, setting(field.Name)) {
				found++
			}
		}
		require.Positive(t, found, variable)
	}
}
