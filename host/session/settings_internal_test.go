package session

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/store"
)

// TestZeroSettings: no field needs to be set. A zero field gives a manager the
// same value as Defaults does.
func TestZeroSettings(t *testing.T) {
	inForce := func(s Settings) reflect.Value {
		require.NoError(t, s.Check())
		m, err := New(store.NewMemory(), s)
		require.NoError(t, err)
		return reflect.ValueOf(m.settings)
	}
	want := inForce(Defaults())
	same := func(got reflect.Value) {
		t.Helper()
		for i := range want.NumField() {
			name, a, b := want.Type().Field(i).Name, want.Field(i), got.Field(i)
			if a.Kind() == reflect.Func {
				// Functions are compared by their address.
				require.Equal(t, a.Pointer(), b.Pointer(), name)
				continue
			}
			require.Equal(t, a.Interface(), b.Interface(), name)
		}
	}
	same(inForce(Settings{}))
	require.Equal(t, Defaults().Describe(), Settings{}.Describe())
	for i := range want.NumField() {
		t.Run(want.Type().Field(i).Name, func(t *testing.T) {
			s := Defaults()
			reflect.ValueOf(&s).Elem().Field(i).SetZero()
			same(inForce(s))
			require.Equal(t, Defaults().Describe(), s.Describe())
		})
	}
}
