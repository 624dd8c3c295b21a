package mount

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSpecificationOfPaths: the limits of a directory in abi/SPEC.md are those that
// hold here.
func TestSpecificationOfPaths(t *testing.T) {
	b, err := os.ReadFile("../../../../abi/SPEC.md")
	require.NoError(t, err)
	text := strings.Join(strings.Fields(string(b)), " ")
	require.Contains(t, text, fmt.Sprintf("A path has up to %d bytes, in up to %d names of up to %d bytes", MaxPath, maxDepth, maxName))
	require.Contains(t, text, "names begin with `"+HiddenPrefix+"`")
}
