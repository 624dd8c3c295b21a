package pluginotel_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	waddleotel "github.com/waddle-sessions/waddle/host/otel"
	"github.com/waddle-sessions/waddle/host/otel/pluginotel"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session/sessiontest"
	sdk "go.opentelemetry.io/otel/sdk/metric"
)

// networked is a plugin that did this over its network.
type networked struct {
	pluginotel.Source
	did plugin.NetworkStats
}

func (s *networked) Stats() plugin.Stats { return plugin.Stats{Network: s.did} }

// A plugin that is granted a network has figures of it, and no other has any.
func TestNetwork(t *testing.T) {
	source := &networked{Source: open(t, "acme", new(sessiontest.Clock))}
	reader := sdk.NewManualReader()
	_, err := pluginotel.Observe(source, waddleotel.WithMeterProvider(sdk.NewMeterProvider(sdk.WithReader(reader))))
	require.NoError(t, err)
	of := func() map[string]int64 {
		figures, _ := collect(t, reader)
		maps.DeleteFunc(figures, func(name string, _ int64) bool {
			return !slices.ContainsFunc([]string{"connections ", "dials ", "network.io "}, func(p string) bool { return strings.HasPrefix(name, p) })
		})
		return figures
	}
	require.Empty(t, of())
	source.did.Granted = true
	require.Len(t, of(), 1+4+2, "an alarm needs a figure, and not a missing one")
	source.did = plugin.NetworkStats{Granted: true, Connections: 3, Dials: 10, Failed: 2, Refused: 4, Limited: 5, Read: 600, Sent: 70}
	require.Equal(t, map[string]int64{
		"connections name=acme":           3,
		"dials name=acme outcome=ok":      8,
		"dials name=acme outcome=error":   2,
		"dials name=acme outcome=refused": 4,
		"dials name=acme outcome=limited": 5,

		"network.io name=acme network.io.direction=receive":  600,
		"network.io name=acme network.io.direction=transmit": 70,
	}, of())
}
