package plugin

import "context"

// OpenInterpreted is Open with the interpreter, as on a platform without a
// compiler.
func OpenInterpreted(ctx context.Context, wasm []byte, config Config) (*Plugin, error) {
	return open(ctx, wasm, config, "guest", engineInterpreter)
}

// SharedCode is how many modules are compiled at this moment.
func SharedCode() int {
	codes.mu.Lock()
	defer codes.mu.Unlock()
	return len(codes.all)
}

// SetSetting changes what instances that are opened from now on are told.
func (p *Plugin) SetSetting(name, value string) { p.config.Settings = map[string]string{name: value} }
