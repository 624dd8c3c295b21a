package plugintest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/storetest"
)

// misused finds out why a guest does not open: because of the guest, of its
// settings, or of other options that the host refuses.
func (h *harness) misused(ctx context.Context, err error) error {
	if errors.Is(err, plugin.ErrConfig) {
		return fmt.Errorf("the options do not fit: %w", err)
	}
	var answer *plugin.Error
	if !errors.As(err, &answer) || answer.Kind != nil || answer.Code != abi.Invalid {
		return nil
	}
	settings := maps.Clone(h.options.Config.GuestConfig)
	if settings == nil {
		settings = make(map[string]string)
	}
	maps.Copy(settings, h.options.Settings)
	if len(settings) == 0 {
		return nil
	}
	given := strings.Join(slices.Sorted(maps.Keys(settings)), ", ")
	refused := fmt.Errorf("the guest refuses the settings that it was given (%s): %s", given, cmp.Or(answer.Message, "INVALID, without a message"))
	for name := range settings {
		if strings.Contains(answer.Message, name) {
			return refused
		}
	}
	if h.opensWithoutSettings(ctx) {
		return refused
	}
	return nil
}

func (h *harness) opensWithoutSettings(ctx context.Context) bool {
	dir, err := h.makeDir()
	if err != nil {
		return false
	}
	config := h.config(storetest.Setup{Dir: dir})
	config.GuestConfig = nil
	p, err := plugin.Open(ctx, h.wasm, config)
	if err != nil {
		return false
	}
	return p.Close(context.WithoutCancel(ctx)) == nil
}

// explain says, for a call that exceeded a bound, what a call may take and which option
// says so.
func (h *harness) explain(err error) string {
	switch c := h.config(storetest.Setup{}); {
	case errors.Is(err, plugin.ErrDeadline):
		return fmt.Sprintf("(A call of the guest may take %v: Config.Deadline, waddle test --deadline.)", c.Deadline)
	case errors.Is(err, plugin.ErrFuel):
		return fmt.Sprintf("(A call of the guest may use %d units of fuel: Config.Fuel, waddle test --fuel.)", cmp.Or(c.Fuel, plugin.DefaultFuel))
	case errors.Is(err, plugin.ErrRate):
		return fmt.Sprintf("(The guest may use %d units of fuel per second: Config.FuelRate, waddle test --fuel-rate.)", c.FuelRate)
	}
	return ""
}

func explain(f func(error) string, err error) string {
	if f == nil {
		return ""
	}
	return f(err)
}

// inWords is an error as the failure of a check shows it.
func (h *harness) inWords(err error) string {
	return strings.TrimSpace(err.Error() + "\n" + h.explain(err))
}
