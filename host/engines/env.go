package engines

import (
	"errors"
	"fmt"
	"strings"

	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/internal/environ"
	"github.com/waddle-sessions/waddle/host/plugin"
)

// variable is a setting that the environment can give.
type variable struct {
	name  string
	field string
	set   func(s *Settings, value string) error
	show  func(s *Settings) string // "" if nothing is set
}

// variables are the settings that the environment can give, in the order of
// [Settings.Describe].
var variables = []variable{
	{"SESSION_STORAGE", "Storage",
		func(s *Settings, value string) error { s.Storage = value; return nil },
		func(s *Settings) string { return Redacted(s.Storage) }},
	{"SESSION_DIR", "Dir",
		func(s *Settings, value string) error { s.Dir = value; return nil },
		func(s *Settings) string { return s.Dir }},
	{"SESSION_DURABILITY", "Config.Durability", setDurability, showDurability},
	{"SESSION_LOCK_WAIT", "Config.LockWait",
		func(s *Settings, value string) (err error) {
			s.Config.LockWait, err = environ.Duration(value)
			return err
		},
		func(s *Settings) string { return environ.FormatDuration(s.Config.LockWait) }},
}

// FromEnv returns the settings from an environment in the form of [os.Environ]. An
// empty variable counts as not set.
//
// It returns ErrSettings, naming the variable, for a value that is not allowed and
// for a name that can only be one of these variables misspelt. Package session
// checks the spelling of its own variables.
func FromEnv(environment []string) (Settings, error) {
	if err := environ.Misspelt(environment, environ.Storage); err != nil {
		return Settings{}, fmt.Errorf("%w: %w", ErrSettings, err)
	}
	s := Settings{Storage: memory.Name, given: make(map[string]string)}
	values := environ.Values(environment)
	for _, v := range variables {
		value := strings.TrimSpace(values[v.name])
		if value == "" {
			continue
		}
		if err := v.set(&s, value); err != nil {
			return Settings{}, fmt.Errorf("%w: %s is %q: must be %w", ErrSettings, v.name, value, err)
		}
		s.given[v.name] = v.show(&s)
	}
	// An error about a missing directory must name its variable.
	if s.Dir == "" {
		s.given["SESSION_DIR"] = ""
	}
	return s, nil
}

// name returns the name of a setting where it was set: its variable, if the
// environment gave its value, or else its field.
func (s *Settings) name(field string) string {
	for i := range variables {
		v := &variables[i]
		if given, ok := s.given[v.name]; ok && v.field == field && given == v.show(s) {
			return v.name
		}
	}
	return field
}

func setDurability(s *Settings, value string) error {
	d, err := plugin.ParseDurability(strings.ToLower(value))
	if err != nil {
		return errors.New("one of commit, interval and close")
	}
	s.Config.Durability = d
	return nil
}

// showDurability shows the default that the engine chooses if nothing is set:
// without a directory it makes nothing durable.
func showDurability(s *Settings) string {
	switch {
	case s.Config.Durability != plugin.DurabilityDefault:
		return s.Config.Durability.String()
	case s.Dir != "":
		return plugin.DurabilityInterval.String()
	}
	return ""
}

// Setting is one of the [Settings] as text, for a page, a log or a command line.
type Setting struct {
	Field    string // of Settings
	Variable string // of the environment
	Value    string
	Changed  bool // differs from the default
}

// Describe returns the settings in force, those that the environment can give, as
// text. The value is one that the variable takes, or "none" if nothing is set. A URL is
// shown without its passwords.
func (s Settings) Describe() []Setting {
	if s.Storage == "" {
		s.Storage = memory.Name
	}
	usual := Settings{Storage: memory.Name, Dir: s.Dir}
	all := make([]Setting, len(variables))
	for i, v := range variables {
		words := func(s *Settings) string {
			if text := v.show(s); text != "" {
				return text
			}
			return "none"
		}
		all[i] = Setting{v.field, v.name, words(&s), words(&s) != words(&usual)}
		if v.field == "Dir" {
			all[i].Changed = s.Dir != ""
		}
	}
	return all
}
