package guesttest

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
)

func TestWhatIsShownOfTheLog(t *testing.T) {
	var shown []string
	log := &testLog{write: func(line string) { shown = append(shown, line) }}
	log.lines(3, nil)
	log.lines(3, []guest.Line{
		{Level: guest.LevelDebug, Text: "a"}, {Level: guest.LevelInfo, Text: "b"},
		{Level: guest.LevelWarn, Text: "c"}, {Level: guest.LevelError, Text: "d"}, {Level: 100, Text: "e"},
	})
	require.Equal(t, []string{"debug, shard 3: a", "info, shard 3: b", "warning, shard 3: c", "error, shard 3: d", "error, shard 3: e"}, shown)
	for range 300 {
		log.lines(0, []guest.Line{{Text: "more"}})
	}
	require.Len(t, shown, 201)
	require.Equal(t, "info, shard 0: more", shown[199])
	require.Equal(t, "more than 200 lines were logged: the rest is left out", shown[200])
}
