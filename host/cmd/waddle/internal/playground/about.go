package playground

import (
	"cmp"
	"slices"

	"github.com/waddle-sessions/waddle/host/session"
)

// about is what the page says about the place it shows.
type about struct {
	Engine   Engine    `json:"engine"`
	Sealing  string    `json:"sealing"` // "2 keys", or "none"
	Settings []setting `json:"settings"`
}

// setting is a setting in force, by the name it has in the environment, or the
// one it has in a program where the environment has none.
type setting struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	Changed bool   `json:"changed,omitempty"` // by the environment, from the default
}

// aboutOf describes a playground. The settings are all there are: which, only
// the packages know that have them.
func aboutOf(engine Engine, kept []session.Setting, settings session.Settings) about {
	a := about{Engine: engine}
	for _, s := range slices.Concat(kept, settings.Describe()) {
		if s.Field == "Keyring" {
			a.Sealing = s.Value
		}
		// What has no variable, the playground may have set itself.
		a.Settings = append(a.Settings, setting{cmp.Or(s.Variable, s.Field), s.Value, s.Changed && s.Variable != ""})
	}
	return a
}
