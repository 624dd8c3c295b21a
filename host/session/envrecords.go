package session

import (
	"fmt"
	"slices"
	"strings"

	"github.com/waddle-sessions/waddle/host/store"
)

// EnvOption adds to what [FromEnv] knows.
type EnvOption func(*envOptions)

// RecordsNamed makes SESSION_ENGINE=name choose open as Settings.Records.
func RecordsNamed(name string, open func(store.Store) (RecordStore, error)) EnvOption {
	return func(o *envOptions) { o.named = append(o.named, namedRecords{name, open}) }
}

// engineVariable chooses Settings.Records, and ownRecords is its default.
const (
	engineVariable = "SESSION_ENGINE"
	ownRecords     = "records"
)

type envOptions struct{ named []namedRecords }

type namedRecords struct {
	name string
	open func(store.Store) (RecordStore, error)
}

// records returns the function that the variable chooses.
func (o *envOptions) records(chosen string) (open func(store.Store) (RecordStore, error), err error) {
	known := []string{ownRecords}
	for _, n := range o.named {
		switch {
		case n.name == "" || n.name != strings.TrimSpace(n.name):
			return nil, fmt.Errorf("%w: the name of RecordsNamed is %q: must be a word that %s can have", ErrSettings, n.name, engineVariable)
		case n.open == nil:
			return nil, fmt.Errorf("%w: the function of RecordsNamed(%q) is nil: must return a RecordStore", ErrSettings, n.name)
		case slices.Contains(known, n.name):
			return nil, fmt.Errorf("%w: the name %q of RecordsNamed is taken: must be another", ErrSettings, n.name)
		}
		known = append(known, n.name)
		if n.name == chosen {
			open = n.open
		}
	}
	if chosen != "" && !slices.Contains(known, chosen) {
		return nil, fmt.Errorf("%w: %s is %q: must be one of those that this program has: %s", ErrSettings, engineVariable, chosen, strings.Join(known, ", "))
	}
	return open, nil
}

// showRecords returns no name: a function has none, whoever chose it.
func showRecords(s *Settings) string {
	if s.Records == nil {
		return ownRecords
	}
	return "set by the program"
}
