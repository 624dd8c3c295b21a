package tools

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/modfile"
)

// Each module of the repository requires the next version to be published, so that
// an importer gets modules that were tested together, and replaces it by the
// checkout. The root has no replacements: "go install …@version" refuses them.
func TestModulesRequireEachOther(t *testing.T) {
	list := exec.Command("git", "ls-files", "-co", "--exclude-standard", "go.mod", "*/go.mod")
	list.Dir = repository
	out, err := list.Output()
	require.NoError(t, err)
	names := strings.Fields(string(out))
	require.Contains(t, names, "host/otel/go.mod")
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(repository, name))
		require.NoError(t, err)
		mod, err := modfile.Parse(name, data, nil)
		require.NoError(t, err)
		if name == "go.mod" {
			require.Empty(t, mod.Replace)
			require.Empty(t, mod.Exclude)
			require.Empty(t, mod.Tool, "an importer would have its modules in the build list")
			continue
		}
		for _, r := range mod.Require {
			if r.Mod.Path != rootModule {
				continue
			}
			require.Equal(t, version, r.Mod.Version, name)
			require.Len(t, mod.Replace, 1, name)
			up := strings.Repeat("../", strings.Count(name, "/"))
			require.Equal(t, strings.TrimSuffix(up, "/"), strings.TrimSuffix(mod.Replace[0].New.Path, "/"), name)
		}
	}
}
