package inspect

import (
	"fmt"
	"strings"

	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/plugin/preflight"
)

// Permission is something that the module could do beyond computing in its own
// memory, by the functions that it imports. [plugin.Permissions] has all of them.
type Permission struct {
	Name    string   `json:"name"`
	Meaning string   `json:"meaning"`
	By      []string `json:"by"` // the imports

	// Grant is the field of the host's Config that grants it; empty for what every
	// guest has. Required says that the module is refused without.
	Grant    string `json:"grant,omitempty"`
	Required bool   `json:"required,omitempty"`
}

// Unknown is the name of what a host of this version does not have.
const Unknown = "unknown"

func permissionsOf(m *preflight.Module) []Permission {
	uses, unknown := plugin.Uses(m)
	out := []Permission{}
	for _, u := range uses {
		p := Permission{Name: u.Name, Meaning: u.Meaning, Grant: u.Grant, Required: u.Grant != "" && u.Without == ""}
		for _, i := range u.By {
			p.By = append(p.By, i.Name)
		}
		out = append(out, p)
	}
	if len(unknown) > 0 {
		p := Permission{Name: Unknown, Meaning: "call functions that a host of this version lacks"}
		for _, i := range unknown {
			p.By = append(p.By, i.Module+"."+i.Name)
		}
		out = append(out, p)
	}
	return out
}

func (t *text) permissions(r *Report) {
	t.line("\nWhat it may do")
	for _, p := range r.Permissions {
		t.field(p.Name, "%s\n  %-11s (%s)", p.Meaning, "", abridged(p.By))
		switch {
		case p.Required:
			t.field("", "only if it is granted, by %s of the plugin's Config; it would be refused without", p.Grant)
		case p.Grant != "":
			t.field("", "only if it is granted, by %s of the plugin's Config; it is loaded without", p.Grant)
		}
		if p.Grant == plugin.GrantNetwork && len(r.Reaches) > 0 {
			t.field("", "granted: %s", plain(strings.Join(r.Reaches, ", ")))
		}
	}
	switch n := len(r.Permissions); {
	case r.Incomplete:
		t.line("  as far as it could be read; the rest is not known")
	case n == 0:
		t.line("  only compute in its own memory")
	case r.Permissions[n-1].Name != Unknown:
		t.line("  and nothing else but compute in its own memory: no %s", strings.Join(notAmong(r.Permissions), ", no "))
	}
}

// reaches are the permissions that lead out of the process, and what they lead to.
var reaches = []struct{ permission, what string }{{"network", "network"}, {"files", "files"}}

// notAmong says what a module with these permissions does not reach.
func notAmong(permissions []Permission) (none []string) {
	for _, r := range reaches {
		what := r.what
		for _, p := range permissions {
			if p.Name == r.permission {
				what = "other " + r.what
			}
		}
		none = append(none, what)
	}
	return append(none, "other program")
}

// abridged lists names, the first of them if there are many.
func abridged(names []string) string {
	shown := make([]string, 0, len(names))
	for i, name := range names {
		if i == 4 && len(names) > 5 {
			shown = append(shown, fmt.Sprintf("and %d more", len(names)-i))
			break
		}
		shown = append(shown, plain(name))
	}
	return strings.Join(shown, ", ")
}
