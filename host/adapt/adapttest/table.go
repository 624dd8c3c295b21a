package adapttest

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write testdata/table.txt, which says what works")

// tableFile has a line for each behaviour after the framework's name, such as
//
//	framework: fiber v3
//	streaming: yes
//	HTTP/2: no: its server speaks HTTP/1.1
var tableFile = filepath.Join("testdata", "table.txt")

func compareTable(t *testing.T, f Framework, works map[Behaviour]bool) {
	t.Helper()
	var text strings.Builder
	fmt.Fprintf(&text, "framework: %s\n", f.Name)
	for _, b := range Behaviours {
		if works[b] {
			fmt.Fprintf(&text, "%s: yes\n", b)
		} else {
			fmt.Fprintf(&text, "%s: no: %s\n", b, f.No[b])
		}
	}
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(tableFile), 0o755))
		require.NoError(t, os.WriteFile(tableFile, []byte(text.String()), 0o644))
		return
	}
	kept, err := os.ReadFile(tableFile)
	require.NoError(t, err, "run the test with -update to write what works")
	require.Equal(t, string(kept), text.String(), "what works; run the test with -update to write it to %s", tableFile)
}
