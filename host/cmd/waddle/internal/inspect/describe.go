package inspect

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin"
)

// Description is the guest's own description, which only running it reveals.
type Description struct {
	Name         string   `json:"name"`
	Version      string   `json:"version"`
	Capabilities []string `json:"capabilities"`
	MaxKey       int      `json:"max_key"`
	MaxValue     int      `json:"max_value"`
	Memory       int64    `json:"memory"` // bytes that an instance takes before the first operation
	// OpenTime is how long one instance took to be ready, without compiling;
	// nanoseconds in JSON.
	OpenTime time.Duration `json:"open_time"`

	// OpenFuel is the fuel that it used for that.
	OpenFuel uint64 `json:"open_fuel"`

	// Failure is why there is no description. If the guest failed, Trace is its
	// stack and Output the end of its output.
	Failure string `json:"failure,omitempty"`
	Trace   string `json:"trace,omitempty"`
	Output  string `json:"output,omitempty"`
}

// Limits on a guest while it is described.
const (
	describeMemory   = 64 << 20
	describeDeadline = 2 * time.Second
)

// Describe runs the guest, metered, up to its first operation, in one instance with
// little memory and a deadline for each step, and without the code cache. It
// mounts the directory, if there is one. The guest's log goes to log. Describe
// returns an error only if the context ended first.
func Describe(ctx context.Context, wasm []byte, settings map[string]string, dir string, log *slog.Logger) (*Description, error) {
	config := plugin.Config{GuestConfig: settings, Shards: 1, MemoryLimit: describeMemory, Deadline: describeDeadline,
		OpenDeadline: describeDeadline, SweepInterval: -1, NoCache: true, Logger: log}
	if module, refused := plugin.ValidateAll(wasm); len(refused) == 0 {
		config.MemoryLimit = max(config.MemoryLimit, module.Memory.Min<<16)
	}
	if needsNetwork(wasm) {
		// Without any grant the guest would be refused. Nothing is at this name, ever.
		config.Network.Allow = []string{"tcp://nothing.invalid:1"}
	}
	if dir != "" {
		config.Mounts = []plugin.Mount{{Dir: dir, MaxBytes: describeMemory, MaxFiles: 1000}}
	}
	p, begun := (*plugin.Plugin)(nil), time.Now()
	err := await(ctx, func() (err error) {
		p, err = plugin.Open(ctx, wasm, config)
		return err
	})
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return failed(err), nil
	}
	took := time.Since(begun)
	defer func() { _ = p.Close(context.Background()) }()
	info, stats := p.Info(), p.Stats()
	return &Description{Name: info.Name, Version: info.Version, Capabilities: append([]string{}, info.Capabilities...),
		MaxKey: info.MaxKey, MaxValue: info.MaxValue, Memory: stats.Memory, OpenTime: took - stats.CompileTime,
		OpenFuel: stats.Shards[0].OpenFuel}, nil
}

// needsNetwork reports whether a guest needs a network.
func needsNetwork(wasm []byte) bool {
	module, _ := plugin.ValidateAll(wasm)
	uses, _ := plugin.Uses(module)
	return slices.ContainsFunc(uses, func(u plugin.Use) bool { return u.Grant == plugin.GrantNetwork })
}

func failed(err error) *Description {
	d := &Description{Capabilities: []string{}, Failure: err.Error()}
	var guest *plugin.Error
	if errors.As(err, &guest) {
		d.Trace, d.Output = guest.Trace, guest.Output
	}
	return d
}

// await returns f's error, or the context's error if that ends first.
func await(ctx context.Context, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *text) description(d *Description) {
	t.line("\nIts own description (the module was run for this)")
	if d.Failure != "" {
		t.line("  not available: %s", plain(d.Failure))
		t.block("stack", d.Trace)
		t.block("output", d.Output)
		return
	}
	t.field("name", "%s", orNone(plain(d.Name), "none"))
	t.field("version", "%s", orNone(plain(d.Version), "none"))
	t.field("declares", "%s", orNone(plain(strings.Join(d.Capabilities, " ")), "no capability: the host compares revisions for it"))
	t.field("placement", "%s", placement(d.Capabilities))
	t.field("limits", "keys up to %s, values up to %s", size(int64(d.MaxKey)), size(int64(d.MaxValue)))
	t.field("instance", "ready after %v and %d units of fuel, with %s of memory", d.OpenTime.Round(10*time.Microsecond), d.OpenFuel, size(d.Memory))
}

// placement says which instance serves a call.
func placement(capabilities []string) string {
	if slices.Contains(capabilities, abi.CapabilityRemote) {
		return "any free instance serves a key: the records are stored elsewhere"
	}
	return "a key always goes to the same instance"
}

func (t *text) block(name, lines string) {
	if strings.TrimSpace(lines) == "" {
		return
	}
	t.line("  %s:", name)
	for line := range strings.Lines(strings.TrimSpace(lines)) {
		t.line("    %s", plain(strings.TrimRight(line, "\n")))
	}
}
