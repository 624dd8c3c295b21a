package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// addConfig adds the flag for settings of the module. Unlike in a list, a value may
// contain commas.
func addConfig(cmd *cobra.Command, settings *map[string]string) {
	cmd.Flags().VarP((*settingsFlag)(settings), "config", "c", "give the module the setting `NAME=VALUE`; may be repeated")
	mustComplete(cmd, "config", completeConfig)
}

// addTrusted adds the flag for a module from a file that the user vouches for.
func addTrusted(cmd *cobra.Command, value *bool) {
	cmd.Flags().BoolVar(value, "trusted", false, "trust a module from a file like a bundled engine: unmetered, at full speed; "+
		"an endless loop in it stops the program")
}

func addJSON(cmd *cobra.Command, value *bool) {
	cmd.Flags().BoolVar(value, "json", false, "write only JSON to standard output")
}

func addVerbose(cmd *cobra.Command, value *bool) {
	cmd.Flags().BoolVarP(value, "verbose", "v", false, "show the module's log, including debug level")
}

// settingsFlag collects settings.
type settingsFlag map[string]string

func (f *settingsFlag) String() string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(*f)) {
		all = append(all, name+"="+(*f)[name])
	}
	return strings.Join(all, " ")
}

func (f *settingsFlag) Set(text string) error {
	name, value, ok := strings.Cut(text, "=")
	if !ok || name == "" {
		return errors.New("a name, an equals sign and a value, such as max_entries=100")
	}
	if *f == nil {
		*f = make(map[string]string)
	}
	if _, twice := (*f)[name]; twice {
		return fmt.Errorf("a setting not given before; %s is given twice", name)
	}
	(*f)[name] = value
	return nil
}

func (f *settingsFlag) Type() string { return "NAME=VALUE" }
