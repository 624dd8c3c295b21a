package guests_test

import (
	"testing"

	"github.com/waddle-sessions/waddle/host/storetest"
	"github.com/waddle-sessions/waddle/host/storetest/plugintest"
)

func TestConformance(t *testing.T) {
	options := plugintest.Options{Options: storetest.Options{MaxValue: maxValue}, Config: quiet()}
	for _, language := range languages {
		t.Run(language, func(t *testing.T) { plugintest.Run(t, file(language), options) })
	}
}
