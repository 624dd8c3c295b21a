package protocol

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// TestPauseOfAGuestThatWaits: a guest that gets on is asked again at once; one whose
// steps leave as much as before is asked less and less often, until it gets on.
func TestPauseOfAGuestThatWaits(t *testing.T) {
	var waits lull
	assert.Zero(t, waits.after(9), "a first step")
	assert.Zero(t, waits.after(8))
	last := time.Duration(0)
	for range 5 {
		pause := waits.after(8)
		assert.Greater(t, pause, last)
		last = pause
	}
	for range 100 {
		last = waits.after(8)
	}
	assert.Equal(t, mostPause, last)
	assert.Zero(t, waits.after(7), "it got on")
	assert.Equal(t, firstWait, waits.after(7))
}
