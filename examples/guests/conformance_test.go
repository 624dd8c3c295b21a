package guests_test

import (
	"testing"

	"github.com/waddle-sessions/waddle/host/storetest"
	"github.com/waddle-sessions/waddle/host/storetest/plugintest"
)

func TestConformance(t *testing.T) {
	options := plugintest.Options{Options: storetest.Options{MaxValue: maxValue}, Config: quiet()}
	if raceEnabled || testing.Short() {
		options.Skip, options.Sequences = []string{"memory", "growth", "soak"}, 10
	}
	for _, language := range languages {
		t.Run(language, func(t *testing.T) {
			if language == "go" {
				skipLong(t) // a large module, which every check opens
			}
			plugintest.Run(t, file(language), options)
		})
	}
}
