package plugin

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every constant of type Limit is among those that are counted, once.
func TestAllLimits(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "limited.go", nil, 0)
	require.NoError(t, err)
	var declared []string
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); ok && kind.Name == "Limit" {
			declared = append(declared, spec.Names[0].Name)
		}
		return true
	})
	require.Len(t, declared, len(allLimits))
	seen := make(map[Limit]bool)
	for _, l := range AllLimits() {
		require.False(t, seen[l], strconv.Quote(string(l)))
		seen[l] = true
	}
}

// What a plugin counts, its host counts as well.
func TestLimitCounts(t *testing.T) {
	var host limitCounts
	a, b := limitCounts{all: &host}, limitCounts{all: &host}
	a.count(LimitFuel)
	b.add(LimitLog, 5)
	b.count(LimitFuel)
	host.count(LimitModule)
	require.Equal(t, map[Limit]uint64{LimitFuel: 1}, a.exceeded())
	require.Equal(t, map[Limit]uint64{LimitFuel: 1, LimitLog: 5}, b.exceeded())
	require.Equal(t, map[Limit]uint64{LimitFuel: 2, LimitLog: 5, LimitModule: 1}, host.exceeded())
	(*limitCounts)(nil).count(LimitFuel)
}
