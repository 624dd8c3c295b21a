package session

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestErrorsCanNameEveryVariable that is set.
func TestErrorsCanNameEveryVariable(t *testing.T) {
	for _, variable := range names() {
		found := 0
		for _, field := range reflect.VisibleFields(reflect.TypeFor[Settings]()) {
			if givenBy(setting(field.Name), map[string]string{variable: "set"}) == variable {
				found++
			}
		}
		require.Positive(t, found, variable)
	}
}
