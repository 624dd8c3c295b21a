package tenant_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/tenant"
)

// sample is a manifest of testdata/manifests.txt.
type sample struct {
	name, text string
	good       bool
	problem    string // a part of the error
}

func samples(t testing.TB) (all []sample) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "manifests.txt"))
	require.NoError(t, err)
	for _, part := range strings.Split(string(data), "\n== ")[1:] {
		head, text, ok := strings.Cut(part, "\n")
		require.True(t, ok, head)
		fields := strings.Split(head, " | ")
		kind, name, _ := strings.Cut(fields[0], ": ")
		s := sample{name: name, text: strings.TrimSuffix(text, "\n"), good: kind == "good"}
		if !s.good {
			require.Len(t, fields, 3, head)
			s.problem = fields[1]
		}
		all = append(all, s)
	}
	require.Greater(t, len(all), 100)
	return all
}

func TestManifests(t *testing.T) {
	for _, s := range samples(t) {
		t.Run(s.name, func(t *testing.T) {
			m, err := tenant.ParseManifest([]byte(s.text))
			if s.good {
				require.NoError(t, err)
				require.NoError(t, m.Check())
				return
			}
			require.ErrorIs(t, err, tenant.ErrManifest)
			require.ErrorContains(t, err, s.problem)
			require.Empty(t, m, "what is not valid is not half of a manifest")
			var field *tenant.FieldError
			require.ErrorAs(t, err, &field)
			require.True(t, strings.HasPrefix(field.Path, "$"), field.Path)
			require.Positive(t, field.Line)
		})
	}
}

// What a manifest says comes back, whichever way it goes.
func TestManifestRoundTrip(t *testing.T) {
	for _, s := range samples(t) {
		if !s.good {
			continue
		}
		m, err := tenant.ParseManifest([]byte(s.text))
		require.NoError(t, err)
		text, err := m.JSON()
		require.NoError(t, err)
		again, err := tenant.ParseManifest(text)
		require.NoError(t, err, "%s", text)
		require.Equal(t, m, again)
		// Everything that was given is in it: nothing is read and then forgotten.
		var given, written map[string]any
		require.NoError(t, json.Unmarshal([]byte(s.text), &given))
		require.NoError(t, json.Unmarshal(text, &written))
		for name, value := range given {
			switch v := value.(type) {
			case []any:
				require.Len(t, m2list(written[name]), len(v), name)
			case map[string]any:
				require.Len(t, m2object(written[name]), len(v), name)
			case bool:
				require.Equal(t, v, written[name] == true, name)
			default:
				require.Equal(t, v, written[name], name)
			}
		}
	}
}

func m2list(v any) []any            { list, _ := v.([]any); return list }
func m2object(v any) map[string]any { o, _ := v.(map[string]any); return o }

// Texts that no list of samples can have.
func TestManifestsThatAreNoText(t *testing.T) {
	least := `{"name": "a", "plugin": {"bundled": "memory"}`
	for name, c := range map[string]struct{ text, problem string }{
		"not UTF-8":       {least + `, "config": {"a": "` + "\xff" + `"}}`, "$ is not UTF-8 from byte 64 on: must be JSON in UTF-8"},
		"Latin-1":         {"\xe4", "$ is not UTF-8 from byte 0 on"},
		"UTF-16":          {"\xff\xfe{\x00}\x00", "$ is not UTF-8 from byte 0 on"},
		"byte order mark": {"\xef\xbb\xbf" + least + "}", "$ begins with a byte order mark"},
		"too large":       {least + strings.Repeat(" ", tenant.MaxManifest) + "}", "$ has 16777262 bytes: must have at most 16777216"},
		"too many values": {least + `, "hosts": [` + strings.Repeat("1,", 20_000) + "1]}", "must be at most 10000 values in all"},
		"far too deep":    {strings.Repeat("[", 1<<20), "is nested 9 deep: must be at most 8"},
		"control byte":    {least + ", \"keyring\": \"a\x01\"}", "is not JSON: invalid character"},
		"long value":      {least + `, "replace": "` + strings.Repeat("x", 1<<20) + `"}`, `x"… (1048576 bytes): must be "keep" or "drop"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tenant.ParseManifest([]byte(c.text))
			require.ErrorIs(t, err, tenant.ErrManifest)
			require.ErrorContains(t, err, c.problem)
			require.Less(t, len(err.Error()), 2000)
		})
	}
}

// All faults are told at once, by their lines, and none that follows from another.
func TestFaultsAreToldTogether(t *testing.T) {
	_, err := tenant.ParseManifest([]byte(`{
  "name": 7,
  "hosts": ["Alice.example"],
  "plugin": {"file": "../store.wasm"},
  "colour": "red",
  "limits": {"memory": "16MB"}
}`))
	require.EqualError(t, err, `tenant: the manifest is not valid: line 2: $.name is the number 7: must be text
line 3: $.hosts[0] is "Alice.example": must be in small letters and without a dot at the end: "alice.example"
line 4: $.plugin.file is "../store.wasm": must be a path beneath the host's directory with / between its parts, such as "plugins/store.wasm", without . and ..
line 4: $.plugin.sha256 is missing: must be the SHA-256 of the plugin; `+"`waddle manifest sum`"+` writes it
line 5: $.colour is not a field: the fields here are $schema, name, hosts, plugin, config, limits, mounts, network, session, keyring, persist, replace
line 6: $.limits.memory is the text "16MB": must be a size such as 65536, "512KiB", "16MiB" or "1GiB"`)

	many := `{"name": "a", "plugin": {"bundled": "memory"}` + strings.Repeat(`, "b": 1`, 1000) + "}"
	_, err = tenant.ParseManifest([]byte(many))
	require.LessOrEqual(t, strings.Count(err.Error(), "\n"), 20)
}

// A secret that somebody puts into a manifest is not in the error, which goes into logs.
func TestErrorsHaveNoSecrets(t *testing.T) {
	const secret = "3sVhDKJ9l0pZ0cSyy0B4bXW/9yLKQx2pTn1Yqf8u5Zk="
	for _, field := range []string{`"keyring": "` + secret + `"`, `"keyring": ["` + secret + `"]`, `"keyring": "x\n` + secret + `"`,
		`"secret": "` + secret + `"`, `"session": {"WADDLE_SECRET": "` + secret + `"}`} {
		_, err := tenant.ParseManifest([]byte(`{"name": "a", "plugin": {"bundled": "memory"}, ` + field + `}`))
		require.ErrorIs(t, err, tenant.ErrManifest, field)
		require.NotContains(t, err.Error(), secret[:8], field)
	}
}

func TestCheckOfAManifestMadeInGo(t *testing.T) {
	m := tenant.Manifest{Name: "a", Plugin: tenant.Source{Bundled: "memory"}}
	require.NoError(t, m.Check())
	m.Limits.Memory, m.Mounts = -1, []tenant.Mount{{Dir: "a", Bytes: -1}}
	err := m.Check()
	require.ErrorIs(t, err, tenant.ErrManifest)
	require.ErrorContains(t, err, "$.limits.memory is -1")
	require.ErrorContains(t, err, "$.mounts[0] has a negative quota")
	var field *tenant.FieldError
	require.True(t, errors.As(err, &field))
	require.Zero(t, field.Line)
}

func TestReadManifest(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		return file
	}
	m, err := tenant.ReadManifest(write("a.json", `{"name": "a", "plugin": {"bundled": "memory"}}`))
	require.NoError(t, err)
	require.Equal(t, "a", m.Name)

	file := write("b.json", `{"name": "a"}`)
	_, err = tenant.ReadManifest(file)
	require.ErrorIs(t, err, tenant.ErrManifest)
	require.ErrorContains(t, err, file+": ")

	_, err = tenant.ReadManifest(filepath.Join(dir, "none.json"))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = tenant.ReadManifest(dir)
	require.ErrorContains(t, err, "is a directory: must be a file")

	// A file that claims to be small and is not, or whose size nobody knows.
	large := write("large.json", "")
	require.NoError(t, os.Truncate(large, tenant.MaxManifest+1))
	_, err = tenant.ReadManifest(large)
	require.ErrorContains(t, err, "has 16777217 bytes: must have at most 16777216")
}

// Whatever comes in, an answer comes out, and it stays the same when it is written and
// read again.
func FuzzParseManifest(f *testing.F) {
	for _, s := range samples(f) {
		f.Add([]byte(s.text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := tenant.ParseManifest(text)
		if err != nil {
			require.ErrorIs(t, err, tenant.ErrManifest)
			return
		}
		require.NoError(t, m.Check())
		require.True(t, tenant.ValidName(m.Name))
		written, err := m.JSON()
		require.NoError(t, err)
		again, err := tenant.ParseManifest(written)
		require.NoError(t, err)
		require.Equal(t, m, again)
	})
}
