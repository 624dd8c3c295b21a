package plugin

import (
	"crypto/sha256"
	"fmt"
	"go/scanner"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCheckedBy: a start believes what an earlier one found out about a module, unless the program that
// finds it out has changed.
func TestCheckedBy(t *testing.T) {
	h := sha256.New()
	for _, dir := range []string{"preflight", "../internal/rewrite", "../internal/wasmbin"} {
		names, err := filepath.Glob(filepath.Join(dir, "*.go"))
		require.NoError(t, err)
		require.NotEmpty(t, names)
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			source, err := os.ReadFile(name)
			require.NoError(t, err)
			fmt.Fprintf(h, "\n%s\n", filepath.Base(name))
			var s scanner.Scanner
			s.Init(token.NewFileSet().AddFile(name, -1, len(source)), source, nil, 0) // without comments
			for {
				_, what, text := s.Scan()
				if what == token.EOF {
					break
				}
				fmt.Fprintf(h, "%s %s\n", what, text)
			}
		}
	}
	sum := fmt.Sprintf("%x", h.Sum(nil)[:8])
	require.Equal(t, sum, checkedBy, "the program that checks or rewrites modules has changed: set checkedBy in codedir.go to %q", sum)
}
