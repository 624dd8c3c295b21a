package mount

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSpecificationOfPaths: what abi/SPEC.md says of a directory is what is granted.
func TestSpecificationOfPaths(t *testing.T) {
	b, err := os.ReadFile("../../../../abi/SPEC.md")
	require.NoError(t, err)
	text := strings.Join(strings.Fields(string(b)), " ")
	require.Contains(t, text, fmt.Sprintf("A path has up to %d bytes, in up to %d names of up to %d bytes", maxPath, maxDepth, maxName))
	require.Contains(t, text, "names begin with `"+HiddenPrefix+"`")
}
