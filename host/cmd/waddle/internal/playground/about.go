package playground

import (
	"cmp"
	"slices"
)

// about is the page's description of the playground.
type about struct {
	Engine   Engine    `json:"engine"`
	Sealing  string    `json:"sealing"` // "2 keys", or "none"
	Settings []setting `json:"settings"`
}

// setting is a setting in force, under its name in the environment, or under its
// name in a program if the environment has none.
type setting struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	Changed bool   `json:"changed,omitempty"` // the environment changed the default
}

// aboutOf describes a playground with all settings; only the packages that own
// settings know which there are.
func aboutOf(site Site) about {
	a := about{Engine: site.Engine}
	for _, s := range slices.Concat(site.Kept, site.Settings.Describe()) {
		if s.Field == "Keyring" {
			a.Sealing = s.Value
		}
		// The playground has changed the codec, and settings without a variable, itself.
		byEnvironment := s.Variable != "" && s.Field != "Codec"
		a.Settings = append(a.Settings, setting{cmp.Or(s.Variable, s.Field), s.Value, s.Changed && byEnvironment})
	}
	return a
}
