package main

import (
	"encoding/xml"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// The committed pictures are what the descriptions draw.
func TestPicturesAreDrawnFromTheirDescriptions(t *testing.T) {
	drawn := 0
	err := drawAll(filepath.Join("..", ".."), ".", func(name string, want []byte, _ os.FileMode) error {
		drawn++
		found, err := os.ReadFile(name)
		require.NoError(t, err)
		require.Equal(t, string(want), string(found), "%s is not what its description draws: run 'go run ./diagrams' in .docs", name)
		return xml.Unmarshal(found, new(struct{ XMLName xml.Name }))
	})
	require.NoError(t, err)
	require.Equal(t, 3, drawn)
}

func TestParse(t *testing.T) {
	d, err := parse("file a.svg\ntitle T\nactors a=A / b=B\na -> b: x | y\nb --> a: z\nb: does\n== part\n")
	require.NoError(t, err)
	require.Equal(t, []step{
		{from: 0, to: 1, lines: []string{"x", "y"}}, {from: 1, to: 0, dashed: true, lines: []string{"z"}},
		{from: 1, to: 1, lines: []string{"does"}}, {heading: true, lines: []string{"part"}},
	}, d.steps)
	for _, text := range []string{
		"", "file a\ntitle t\nactors a=A\n", "file a\ntitle t\nactors a=A / b=B\na -> c: x\n",
		"file a\ntitle t\nactors a=A / b=B\nc: x\n", "file a\ntitle t\nactors a=A / b=B\na -> b\n",
	} {
		_, err := parse(text)
		require.Error(t, err, text)
	}
}
