package main

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/waddle-sessions/waddle/host/plugin"
)

// bounds limit what a module may compute. The zero value means the host's defaults.
type bounds struct {
	deadline   time.Duration
	fuel, rate unitsFlag
	given      []string // the flags of them that the user gave
}

// addBounds adds the flags of bounds. usually says what holds without --fuel-rate.
func addBounds(cmd *cobra.Command, b *bounds, usually string) {
	f := cmd.Flags()
	f.DurationVar(&b.deadline, "deadline", plugin.DefaultDeadline, "end a call of the module that runs for longer than `DURATION`")
	f.Var(&b.fuel, "fuel", fmt.Sprintf("end a call that uses more than `UNITS` of fuel, such as 50M (default %d)", plugin.DefaultFuel))
	f.Var(&b.rate, "fuel-rate", "let the module use `UNITS` of fuel per second (default "+usually+")")
	fixed(cmd, "deadline", "500ms", "1s", "5s", "30s")
	fixed(cmd, "fuel", "1M", "50M", "1G")
	fixed(cmd, "fuel-rate", "100M", "1G")
}

// note notes which of the flags were given to cmd.
func (b *bounds) note(cmd *cobra.Command) {
	for _, name := range []string{"deadline", "fuel", "fuel-rate"} {
		if cmd.Flags().Changed(name) {
			b.given = append(b.given, "--"+name)
		}
	}
}

// check says what is wrong with the bounds of a module that is trusted or not.
func (b bounds) check(trusted bool) error {
	switch {
	case len(b.given) > 0 && trusted:
		return usagef("--trusted runs the module unmetered, and %s is a bound: leave one of the two out", b.given[0])
	case b.deadline <= 0:
		return usagef("--deadline is %v: must be above 0, since a call that never ends would hang the program", b.deadline)
	}
	return nil
}

// on sets the bounds in a config.
func (b bounds) on(c *plugin.Config) {
	c.Deadline, c.Fuel, c.FuelRate = b.deadline, int64(b.fuel), int64(b.rate)
}

// unhurried is on for a module that is tested or measured, which may use fuel as fast
// as it can unless a flag says otherwise.
func (b bounds) unhurried(c *plugin.Config) {
	b.on(c)
	c.FuelRate = cmp.Or(c.FuelRate, -1)
}

// unitsFlag is a number of units of fuel. 0 means that none is given.
type unitsFlag int64

var fuelUnits = []struct {
	suffix string
	units  int64
}{{"G", 1e9}, {"M", 1e6}, {"k", 1e3}}

func (f *unitsFlag) String() string { return units(int64(*f)) }

// units writes a number of units as a flag takes it.
func units(n int64) string {
	for _, u := range fuelUnits {
		if n >= u.units && n%u.units == 0 {
			return fmt.Sprint(n/u.units, u.suffix)
		}
	}
	return strconv.FormatInt(n, 10)
}

func (f *unitsFlag) Set(text string) error {
	number, factor := text, int64(1)
	for _, u := range fuelUnits {
		if n, ok := strings.CutSuffix(text, u.suffix); ok {
			number, factor = n, u.units
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 1 || n > math.MaxInt64/factor {
		return errors.New("at least 1 unit of fuel, with k, M or G for thousands, millions or billions, such as 50M")
	}
	*f = unitsFlag(n * factor)
	return nil
}

func (f *unitsFlag) Type() string { return "UNITS" }
