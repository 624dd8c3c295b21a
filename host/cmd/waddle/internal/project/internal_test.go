package project

import (
	"os"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/project/sources"
)

const root = "../../../../../"

func TestArchiveIsWhatTheExamplesMake(t *testing.T) {
	files, err := sources.Read(root + "examples/guests")
	require.NoError(t, err)
	require.NoError(t, sources.Compare(archive, files))

	folders := map[string]bool{}
	for _, f := range files {
		folders[f.Name[:strings.Index(f.Name, "/")]] = true
	}
	for _, l := range languages {
		require.True(t, folders[l.Name], l.Name)
	}
	require.Len(t, folders, len(languages))

	// The comparison finds changed, missing and superfluous files.
	changed := append([]sources.File(nil), files...)
	changed[3].Content = append([]byte("x"), changed[3].Content...)
	require.ErrorContains(t, sources.Compare(archive, changed), changed[3].Name+" has changed")
	require.ErrorContains(t, sources.Compare(archive, append(files[:3:3], files[4:]...)), "lacks "+files[4].Name)
	require.ErrorContains(t, sources.Compare(archive, files[:len(files)-1]), files[len(files)-1].Name+", which no longer exists")
	require.ErrorContains(t, sources.Compare(archive, append(files[:len(files):len(files)], sources.File{Name: "zzz/a"})), "lacks zzz/a")
}

func TestGoVersionIsThatOfTheModule(t *testing.T) {
	mod, err := os.ReadFile(root + "go.mod")
	require.NoError(t, err)
	found := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(mod)
	require.NotNil(t, found)
	require.Equal(t, string(found[1]), goVersion)
}

func TestNameFrom(t *testing.T) {
	for base, name := range map[string]string{
		"my-store": "my-store", "My Store": "my-store", "store_2": "store-2", "2nd": "nd", "ÄÖ": "store", "/": "store", ".": "store",
		"a.b..c": "a-b-c", "-x-": "x", "a": "a",
		strings.Repeat("long", 20): strings.Repeat("long", 15),
	} {
		require.Equal(t, name, nameFrom(base), base)
		require.Regexp(t, namePattern, name)
	}
}

func TestPublished(t *testing.T) {
	const other = "example.com/other"
	vcs := []debug.BuildSetting{{Key: "vcs.revision", Value: "0123456789ab"}}
	for name, c := range map[string]struct {
		info    *debug.BuildInfo
		version string // "" for an error
	}{
		"a release":                   {&debug.BuildInfo{Main: debug.Module{Path: waddleModule, Version: "v1.2.3"}}, "v1.2.3"},
		"a release, built from a tag": {&debug.BuildInfo{Main: debug.Module{Path: waddleModule, Version: "v1.2.3"}, Settings: vcs}, "v1.2.3"},
		"installed at a commit":       {&debug.BuildInfo{Main: debug.Module{Path: waddleModule, Version: "v0.0.0-20260101120000-0123456789ab"}}, "v0.0.0-20260101120000-0123456789ab"},
		"a commit of a checkout":      {&debug.BuildInfo{Main: debug.Module{Path: waddleModule, Version: "v0.0.0-20260101120000-0123456789ab"}, Settings: vcs}, ""},
		"a commit after a release":    {&debug.BuildInfo{Main: debug.Module{Path: waddleModule, Version: "v1.2.4-0.20260101120000-0123456789ab"}, Settings: vcs}, ""},
		"a checkout with changes":     {&debug.BuildInfo{Main: debug.Module{Path: waddleModule, Version: "v1.2.3+dirty"}, Settings: vcs}, ""},
		"without version control":     {&debug.BuildInfo{Main: debug.Module{Path: waddleModule, Version: "(devel)"}}, ""},
		"a test":                      {&debug.BuildInfo{Main: debug.Module{Path: waddleModule}}, ""},
		"as part of another program": {&debug.BuildInfo{Main: debug.Module{Path: other, Version: "(devel)"}, Settings: vcs,
			Deps: []*debug.Module{{Path: waddleModule, Version: "v1.2.3"}}}, "v1.2.3"},
		"replaced in another program": {&debug.BuildInfo{Main: debug.Module{Path: other},
			Deps: []*debug.Module{{Path: waddleModule, Version: "v1.2.3", Replace: &debug.Module{Path: "../"}}}}, ""},
		"another program": {&debug.BuildInfo{Main: debug.Module{Path: other, Version: "v9.9.9"}}, ""},
		"no information":  {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			version, err := published(c.info)
			if c.version == "" {
				require.ErrorIs(t, err, ErrVersion)
				require.ErrorContains(t, err, "checkout")
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.version, version)
		})
	}
}

func TestQuoted(t *testing.T) {
	for path, want := range map[string]string{
		"/home/me/waddle": "/home/me/waddle", "/home/me/my waddle": `"/home/me/my waddle"`, `C:/Users/a(1)`: `"C:/Users/a(1)"`,
	} {
		require.Equal(t, want, quoted(path))
	}
}
