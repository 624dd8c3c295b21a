package tenant_test

import (
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/tenant"
)

// fieldsOf returns the paths of a struct's fields in JSON. Those of limits have a table of
// their own.
func fieldsOf(of reflect.Type, prefix string) (paths []string) {
	for i := range of.NumField() {
		name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
		field, path := of.Field(i).Type, prefix+name
		switch {
		case field.Kind() == reflect.Slice && field.Elem().Kind() == reflect.Struct:
			paths = append(paths, fieldsOf(field.Elem(), path+"[].")...)
		case field.Kind() == reflect.Struct && field != reflect.TypeFor[tenant.Limits]():
			paths = append(paths, fieldsOf(field, path+".")...)
		default:
			paths = append(paths, path)
		}
	}
	return paths
}

func document(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("MANIFEST.md")
	require.NoError(t, err)
	return string(text)
}

// rows returns the names in the first column of the table under a heading.
func rows(t *testing.T, heading string) (names []string, lines map[string]string) {
	t.Helper()
	_, chapter, ok := strings.Cut(document(t), "\n## "+heading+"\n")
	require.True(t, ok, heading)
	chapter, _, _ = strings.Cut(chapter, "\n## ")
	name := regexp.MustCompile("`([^`]+)`")
	lines = make(map[string]string)
	for line := range strings.Lines(chapter) {
		if cells := strings.Split(line, " | "); strings.HasPrefix(line, "| `") {
			for _, m := range name.FindAllStringSubmatch(cells[0], -1) {
				names = append(names, m[1])
				lines[m[1]] = line
			}
		}
	}
	return names, lines
}

// The table of fields has each field once, and nothing else.
func TestDocumentHasEveryField(t *testing.T) {
	found, _ := rows(t, "Fields")
	require.ElementsMatch(t, fieldsOf(reflect.TypeFor[tenant.Manifest](), ""), found)
}

// So has the table of limits, with the defaults that there are.
func TestDocumentHasEveryLimit(t *testing.T) {
	found, lines := rows(t, "Limits")
	require.Equal(t, fieldsOf(reflect.TypeFor[tenant.Limits](), ""), found, "in the order of the struct")
	defaults := reflect.ValueOf(tenant.DefaultLimits())
	for i, name := range fieldsOf(reflect.TypeFor[tenant.Limits](), "") {
		want := strconv.FormatInt(defaults.Field(i).Int(), 10)
		if unit, ok := defaults.Field(i).Interface().(interface{ String() string }); ok {
			want = unit.String()
		}
		require.True(t, strings.HasSuffix(lines[name], " | "+want+" |\n"), "%s: the default is %s: %s", name, want, lines[name])
	}
}

// The schema has the same fields, and the settings of sessions.
func TestSchemaHasEveryField(t *testing.T) {
	var schema struct {
		Properties map[string]struct{ Properties map[string]any }
		Defs       map[string]struct{ Properties map[string]any } `json:"$defs"`
	}
	require.NoError(t, json.Unmarshal(tenant.Schema(), &schema))
	var found []string
	for name := range schema.Properties {
		switch name {
		case "plugin":
			for name := range schema.Defs["source"].Properties {
				found = append(found, "plugin."+name)
			}
		case "mounts":
			for name := range schema.Defs["mount"].Properties {
				found = append(found, "mounts[]."+name)
			}
		default:
			found = append(found, name)
		}
	}
	require.ElementsMatch(t, fieldsOf(reflect.TypeFor[tenant.Manifest](), ""), found)
	var limits []string
	for name := range schema.Defs["limits"].Properties {
		limits = append(limits, name)
	}
	require.ElementsMatch(t, fieldsOf(reflect.TypeFor[tenant.Limits](), ""), limits)

	// A setting that the schema does not have is one that the parser refuses, and the other
	// way round.
	_, err := tenant.ParseManifest([]byte(`{"name": "a", "plugin": {"bundled": "memory"}, "session": {"x": "1"}}`))
	_, list, ok := strings.Cut(err.Error(), "must be one of ")
	require.True(t, ok)
	var settings []string
	for name := range schema.Properties["session"].Properties {
		settings = append(settings, name)
	}
	require.ElementsMatch(t, strings.Split(list, ", "), settings)
}

// The manifests in the document are manifests.
func TestManifestsOfTheDocument(t *testing.T) {
	found := regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(document(t), -1)
	require.Len(t, found, 2)
	for _, m := range found {
		_, err := tenant.ParseManifest([]byte(m[1]))
		require.NoError(t, err)
	}
}
