package main_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/tenant"
)

func compiled(t testing.TB) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(tenant.Schema()))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	require.NoError(t, c.AddResource(tenant.SchemaURL, doc))
	s, err := c.Compile(tenant.SchemaURL) // holds it against the schema of schemas as well
	require.NoError(t, err)
	require.Equal(t, tenant.SchemaURL, doc.(map[string]any)["$id"])
	return s
}

// valid reports what the schema says of a text that is JSON.
func valid(t testing.TB, s *jsonschema.Schema, text string) error {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	require.NoError(t, err, text)
	return s.Validate(doc)
}

// The schema and the parser agree on every sample: the schema takes what the parser takes,
// and refuses what the parser refuses as far as its language can.
func TestSchemaAgreesWithTheParser(t *testing.T) {
	s := compiled(t)
	data, err := os.ReadFile(filepath.Join("..", "..", "host", "tenant", "testdata", "manifests.txt"))
	require.NoError(t, err)
	judged := 0
	for _, part := range strings.Split(string(data), "\n== ")[1:] {
		head, text, _ := strings.Cut(part, "\n")
		if strings.HasSuffix(head, "| is not JSON") {
			continue
		}
		judged++
		_, errParser := tenant.ParseManifest([]byte(text))
		errSchema := valid(t, s, text)
		switch {
		case strings.HasPrefix(head, "good: "):
			require.NoError(t, errParser, head)
			require.NoError(t, errSchema, head)
		case strings.HasSuffix(head, "| refuses"):
			require.Error(t, errParser, head)
			require.Error(t, errSchema, head)
		default:
			require.True(t, strings.HasSuffix(head, "| cannot see it"), head)
			require.Error(t, errParser, head)
			require.NoError(t, errSchema, "%s: the schema does see it", head)
		}
	}
	require.Greater(t, judged, 100)
}

// Every example in the schema is valid where it stands, and those of whole manifests are
// manifests.
func TestExamplesOfTheSchema(t *testing.T) {
	s := compiled(t)
	var doc map[string]any
	require.NoError(t, json.Unmarshal(tenant.Schema(), &doc))
	count := 0
	for _, example := range doc["examples"].([]any) {
		text, err := json.Marshal(example)
		require.NoError(t, err)
		require.NoError(t, valid(t, s, string(text)))
		_, err = tenant.ParseManifest(text)
		require.NoError(t, err)
		count++
	}
	require.Positive(t, count)
	// An example of a field is held by a manifest that has it.
	for _, part := range []string{"", "limits", "mounts"} {
		properties := doc["properties"].(map[string]any)
		switch part {
		case "limits":
			properties = doc["$defs"].(map[string]any)["limits"].(map[string]any)["properties"].(map[string]any)
		case "mounts":
			properties = doc["$defs"].(map[string]any)["mount"].(map[string]any)["properties"].(map[string]any)
		}
		for name, property := range properties {
			require.NotEmpty(t, described(doc, property), "%s.%s has no description", part, name)
			examples, _ := property.(map[string]any)["examples"].([]any)
			for _, example := range examples {
				m := map[string]any{"name": "a", "plugin": map[string]any{"bundled": "memory"}}
				switch part {
				case "":
					m[name] = example
				case "limits":
					m[part] = map[string]any{name: example}
				default:
					m[part] = []any{map[string]any{"dir": "files", name: example}}
				}
				text, err := json.Marshal(m)
				require.NoError(t, err)
				require.NoError(t, valid(t, s, string(text)), "%s", text)
				_, err = tenant.ParseManifest(text)
				require.NoError(t, err, "%s", text)
			}
		}
	}
}

// described returns the description of a property, or of what it refers to.
func described(doc map[string]any, property any) any {
	p := property.(map[string]any)
	if text := p["description"]; text != nil {
		return text
	}
	ref, _ := p["$ref"].(string)
	_, name, _ := strings.Cut(ref, "#/$defs/")
	return doc["$defs"].(map[string]any)[name].(map[string]any)["description"]
}
