package format_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest/engines/format"
)

func Example() {
	fmt.Print(format.Format{Engine: "keyfolder", Version: 1, Shards: 4})
	// Output:
	// waddle keyfolder 1
	// shards 4
}

func TestParse(t *testing.T) {
	for text, want := range map[string]format.Format{
		"waddle keyfolder 1\nshards 4\n":        {Engine: "keyfolder", Version: 1, Shards: 4},
		"waddle keyfolder 1\nshards 4\nmore":    {Engine: "keyfolder", Version: 1, Shards: 4},
		"waddle keyfolder 2\nshards 4\n":        {Engine: "keyfolder", Version: 2, Shards: 4},
		"waddle keyfolder 2\nshards are many\n": {Engine: "keyfolder", Version: 2},
	} {
		got, ok := format.Parse(text)
		require.True(t, ok, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "\n", "SQLite format 3\x00", "waddle keyfolder 1\nshards 4", "waddle keyfolder 1\nshards 04\n",
		"waddle keyfolder 1\n", "waddle keyfolder -1\nshards 4\n", "waddle ../x 1\nshards 4\n", "waddle  1\nshards 4\n"} {
		_, ok := format.Parse(text)
		require.False(t, ok, text)
	}
}
