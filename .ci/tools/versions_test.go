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
// an importer gets modules that were tested together, and replaces by the checkout
// those that it requires. The root has no replacements: "go install …@version" refuses them.
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
		want := make(map[string]string)
		for _, r := range mod.Require {
			module, ours := strings.CutPrefix(r.Mod.Path, rootModule)
			if !ours {
				continue
			}
			require.Equal(t, version, r.Mod.Version, name)
			to, err := filepath.Rel(filepath.Dir(name), "."+module)
			require.NoError(t, err)
			want[r.Mod.Path] = filepath.ToSlash(to)
		}
		found := make(map[string]string)
		for _, r := range mod.Replace {
			found[r.Old.Path] = strings.TrimSuffix(r.New.Path, "/")
		}
		require.Equal(t, want, found, name)
	}
}
