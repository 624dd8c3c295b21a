package plugin

import (
	"cmp"
	"math"

	"github.com/waddle-sessions/waddle/host/plugin/preflight"
)

// Limits bound a module before it is compiled. A field that is 0 has the value of
// [DefaultLimits]. Everything else that a module may contain is bounded by
// [preflight.DefaultLimits].
type Limits struct {
	// Module is the largest size of the module in bytes.
	Module int64

	// CompileCost bounds the estimate of the time that compiling takes, in units of
	// which a core does about 25 million a second; see
	// [preflight.Module.CompileCost].
	CompileCost int64

	// CompileMemory bounds the estimate of the bytes of memory that compiling takes;
	// see [preflight.Module.CompileMemory].
	CompileMemory int64
}

// DefaultLimits returns the limits of a [Config] that sets none: 32 MiB, 30 seconds of
// one core and 512 MiB to compile it. They are well above what toolchains make.
func DefaultLimits() Limits {
	d := preflight.DefaultLimits()
	return Limits{Module: int64(d.Module), CompileCost: d.CompileCost, CompileMemory: d.CompileMemory}
}

// StrictLimits returns limits for modules from strangers, who may have made them to
// keep the host busy: 8 MiB, 4 seconds of one core and 128 MiB to compile it. A storage
// engine fits in, also one in Go with much of its standard library.
func StrictLimits() Limits {
	return Limits{Module: 8 << 20, CompileCost: 100_000_000, CompileMemory: 128 << 20}
}

func (l Limits) orDefault() Limits {
	d := DefaultLimits()
	return Limits{
		Module:        min(cmp.Or(l.Module, d.Module), math.MaxInt32),
		CompileCost:   cmp.Or(l.CompileCost, d.CompileCost),
		CompileMemory: cmp.Or(l.CompileMemory, d.CompileMemory),
	}
}

func (l Limits) preflight() preflight.Limits {
	p := preflight.DefaultLimits()
	p.Module, p.CompileCost, p.CompileMemory = int(l.Module), l.CompileCost, l.CompileMemory
	return p
}
