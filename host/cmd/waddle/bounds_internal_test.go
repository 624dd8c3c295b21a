package main

import (
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
)

// The flags of bounds reach the config. Those that measure or test let a module use its
// fuel as fast as it can. A bundled engine is metered if there are bounds.
func TestBounds(t *testing.T) {
	unbounded := plugin.Config{Trusted: true}
	for _, c := range []struct {
		args    []string
		bundled bool
		want    plugin.Config // of the benchmark
	}{
		{nil, false, plugin.Config{Deadline: plugin.DefaultDeadline, FuelRate: -1}},
		{nil, true, unbounded},
		{[]string{"--trusted"}, false, unbounded},
		{[]string{"--trusted"}, true, unbounded},
		{[]string{"--deadline", "1s"}, false, plugin.Config{Deadline: time.Second, FuelRate: -1}},
		{[]string{"--fuel", "50M"}, true, plugin.Config{Deadline: plugin.DefaultDeadline, Fuel: 50_000_000, FuelRate: -1}},
		{[]string{"--fuel-rate", "2k"}, false, plugin.Config{Deadline: plugin.DefaultDeadline, FuelRate: 2000}},
	} {
		var flags benchFlags
		cmd := &cobra.Command{}
		addBounds(cmd, &flags.bounds, "none")
		addTrusted(cmd, &flags.trusted)
		require.NoError(t, cmd.ParseFlags(c.args), c.args)
		flags.bounds.note(cmd)
		require.NoError(t, flags.bounds.check(flags.trusted), c.args)
		require.Equal(t, c.want, flags.configOf(c.bundled), c.args)
		metered := flags.metered(c.want)
		require.False(t, metered.Trusted)
		require.NotZero(t, metered.Deadline)
	}
}

func TestUnits(t *testing.T) {
	var f unitsFlag
	for text, want := range map[string]int64{"1": 1, "999": 999, "3k": 3000, "50M": 50_000_000, "2G": 2_000_000_000} {
		require.NoError(t, f.Set(text), text)
		require.EqualValues(t, want, f)
		require.Equal(t, text, f.String())
	}
	for _, text := range []string{"", "0", "-1", "k", "1.5M", "1m", "1 M", "9223372036854775807k"} {
		require.Error(t, f.Set(text), text)
	}
}
