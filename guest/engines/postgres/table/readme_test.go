package table

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The statements in README.md are those that make the table.
func TestReadmeHasTheTable(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	s := schema{t: &Table{options: Options{Name: "waddle_sessions"}}}
	require.Len(t, migrations, 1, "README.md has one version")
	require.Contains(t, string(text), "```sql\n"+strings.ReplaceAll(s.expand(migrations[0].sql), `"`, "")+"\n```")
}
