package session

import (
	"errors"
	"fmt"
	"slices"
)

// settingsError is ErrSettings with what is wrong. It keeps the fields that it
// names apart, so that people who gave them in another way read the names that
// they used.
type settingsError struct {
	format string
	args   []any // those with a name in the environment are environmental
}

// environmental is something that has another name in an environment.
type environmental interface {
	// in returns that name; of several variables, the one that is set.
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

// inVariables returns an error of Check in the names of the environment's variables.
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

// in keeps the name of a field that the environment cannot give.
func (s setting) in(values map[string]string) string {
	switch {
	case s == "Lifetime" && values["SESSION_DURATION"] == "" && values["SESSION_COOKIE_AGE"] != "":
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
