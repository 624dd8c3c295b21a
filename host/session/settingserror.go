package session

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// setting is the name of a field of Settings in an error of Check.
type setting string

// settingsError is ErrSettings with what is wrong. It keeps apart the fields
// that it names, so that whoever gave them in another way reads of them by the
// names that were used there.
type settingsError struct {
	format string
	args   []any // a setting among them is the name of one
}

func wrong(format string, args ...any) error { return &settingsError{format, args} }

func (e *settingsError) Error() string {
	return e.naming(func(s setting) string { return string(s) })
}

func (e *settingsError) Unwrap() error { return ErrSettings }

func (e *settingsError) naming(name func(setting) string) string {
	args := slices.Clone(e.args)
	for i, arg := range args {
		if field, ok := arg.(setting); ok {
			args[i] = name(field)
		}
	}
	return fmt.Sprintf("%v: %s", ErrSettings, fmt.Sprintf(e.format, args...))
}

// inVariables is an error of Check for settings that came from an environment.
func inVariables(err error, values map[string]string) error {
	var wrong *settingsError
	if !errors.As(err, &wrong) {
		return err
	}
	text := wrong.naming(func(field setting) string { return givenBy(field, values) })
	return fmt.Errorf("%w%s", ErrSettings, strings.TrimPrefix(text, ErrSettings.Error()))
}

// givenBy returns the name of the variable that gives a field: of several the
// one that is set. A field that the environment cannot give keeps its name.
func givenBy(field setting, values map[string]string) string {
	switch {
	case field == "Duration" && values["SESSION_DURATION"] == "" && values["SESSION_COOKIE_AGE"] != "":
		return "SESSION_COOKIE_AGE"
	case field == "Keyring" && values[secretVariable] == "" && values[secretFileVariable] != "":
		return secretFileVariable
	case field == "CookieSecureAuto":
		field = "CookieSecure" // =auto
	}
	if name := variableOf(string(field)); name != "" {
		return name
	}
	return string(field)
}
