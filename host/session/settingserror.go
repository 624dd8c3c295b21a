package session

import (
	"errors"
	"fmt"
	"slices"
)

// settingsError is ErrSettings with what is wrong. It keeps apart the fields
// that it names, so that whoever gave them in another way reads of them by the
// names that were used there.
type settingsError struct {
	format string
	args   []any // those that have a name in the environment are environmental
}

// environmental is what an environment has another name for.
type environmental interface {
	// in returns that name. Of several variables it is the one that is set.
	in(values map[string]string) string
}

// setting is the name of a field of Settings in an error of Check.
type setting string

// secureValue is a value of Settings.CookieSecure in an error of Check.
type secureValue SecureMode

func wrong(format string, args ...any) error { return &settingsError{format, args} }

func (e *settingsError) Error() string {
	return fmt.Sprintf("%v: "+e.format, append([]any{ErrSettings}, e.args...)...)
}

func (e *settingsError) Unwrap() error { return ErrSettings }

// inVariables is an error of Check for settings that came from an environment.
func inVariables(err error, values map[string]string) error {
	var wrong *settingsError
	if !errors.As(err, &wrong) {
		return err
	}
	args := slices.Clone(wrong.args)
	for i, arg := range args {
		if named, ok := arg.(environmental); ok {
			args[i] = named.in(values)
		}
	}
	return &settingsError{wrong.format, args}
}

// in: a field that the environment cannot give keeps its name.
func (s setting) in(values map[string]string) string {
	switch {
	case s == "Duration" && values["SESSION_DURATION"] == "" && values["SESSION_COOKIE_AGE"] != "":
		return "SESSION_COOKIE_AGE"
	case s == "Keyring" && values[secretVariable] == "" && values[secretFileVariable] != "":
		return secretFileVariable
	}
	if v := variableOf(string(s)); v != nil {
		return v.name
	}
	return string(s)
}

func (v secureValue) in(map[string]string) string { return secureWords[v] }

func (v secureValue) String() string { return secureNames[v] }
