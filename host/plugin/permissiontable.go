package plugin

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/waddle-sessions/waddle/host/internal/printable"
	"github.com/waddle-sessions/waddle/host/plugin/preflight"
)

// permission is a row of the table of what a guest may do. All that the host knows
// of a permission is in its row.
type permission struct {
	name, meaning string

	// functions are what a guest imports for it, each in one row of the table.
	// shared are functions of other rows that serve this one instead in a module
	// that imports any of functions.
	functions []hostFunction
	shared    func(hostFunction) bool // nil for none

	grant *grant // nil for what every guest has

	// prepare and attach give what the functions work with to all executors of a plugin
	// alike, and to one. Nil is for nothing.
	prepare func(*machine, wazero.ModuleConfig) wazero.ModuleConfig
	attach  func(*executor, wazero.ModuleConfig) wazero.ModuleConfig
}

// grant is what makes a permission a matter of the config.
type grant struct {
	field   string             // of Config, which grants it
	given   func(*Config) bool // whether a config does
	without string             // what the functions do without it; "" to refuse who imports them

	// open makes ready what the guest is granted, before any instance is brought
	// up, and close gives it back, when none is left; also after an open that
	// failed. Nil is for nothing.
	open  func(context.Context, *Plugin) error
	close func(*Plugin) error
}

// hostFunction is a function that a guest may import.
type hostFunction struct {
	module, name    string
	params, results []api.ValueType
	call            api.GoModuleFunction
}

func (f hostFunction) signature() preflight.Signature {
	return preflight.Signature{Params: valueTypes(f.params), Results: valueTypes(f.results)}
}

func (f hostFunction) imported() preflight.Import {
	return preflight.Import{Module: f.module, Name: f.name, Kind: preflight.KindFunction, Signature: f.signature()}
}

func valueTypes(types []api.ValueType) []preflight.ValueType {
	out := make([]preflight.ValueType, len(types))
	for i, t := range types {
		out[i] = preflight.ValueType(t)
	}
	return out
}

func (p *permission) public() Permission {
	out := Permission{Name: p.name, Meaning: p.meaning}
	for _, f := range p.functions {
		out.Imports = append(out.Imports, f.imported())
	}
	if p.grant != nil {
		out.Grant, out.Without, out.granted = p.grant.field, p.grant.without, p.grant.given
	}
	return out
}

func (p *permission) grantedBy(c *Config) bool { return p.grant == nil || p.grant.given(c) }

// refuses reports whether a guest that imports the functions is refused if it is not
// granted them.
func (p *permission) refuses() bool { return p.grant != nil && p.grant.without == "" }

// permissions is the table.
type permissions []*permission

// find returns the function of an import and the row that it stands in.
func (t permissions) find(module, name string) (*permission, *hostFunction) {
	for _, p := range t {
		for i := range p.functions {
			if f := &p.functions[i]; f.module == module && f.name == name {
				return p, f
			}
		}
	}
	return nil, nil
}

// uses sorts the imports of a module by what they are for.
func (t permissions) uses(imports []preflight.Import) (uses []Use, unknown []preflight.Import) {
	by := make(map[*permission][]preflight.Import)
	own := make(map[*permission]bool) // of which any function of its own is imported
	for _, i := range imports {
		if p, _ := t.find(i.Module, i.Name); p != nil {
			own[p] = true
		}
	}
	for _, i := range imports {
		p, f := t.find(i.Module, i.Name)
		if p == nil {
			unknown = append(unknown, i)
			continue
		}
		for _, other := range t {
			if own[other] && other.shared != nil && other.shared(*f) {
				p = other
			}
		}
		by[p] = append(by[p], i)
	}
	for _, p := range t {
		if len(by[p]) > 0 {
			uses = append(uses, Use{p.public(), by[p]})
		}
	}
	return uses, unknown
}

// check refuses imports that no config could make available.
func (t permissions) check(m *preflight.Module) (why []*LoadError) {
	modules := t.modules()
	for _, i := range m.Imports {
		if i.Kind != preflight.KindFunction {
			continue // which has been refused for that
		}
		_, f := t.find(i.Module, i.Name)
		if f != nil {
			if want := f.signature(); !i.Signature.Equal(want) {
				why = append(why, loadError(ErrImport, nil, "%q.%q is imported as a function %s: must be a function %s",
					i.Module, i.Name, i.Signature, want))
			}
			continue
		}
		if names, ok := modules[i.Module]; ok {
			why = append(why, loadError(ErrImport, nil, "%q.%q: the function must be one of %s", i.Module, printable.Clean(i.Name), strings.Join(names, ", ")))
			continue
		}
		why = append(why, loadError(ErrImport, nil, "%q.%q: the module must be %s", printable.Clean(i.Module), printable.Clean(i.Name),
			strings.Join(slices.Sorted(maps.Keys(modules)), " or ")))
	}
	return why
}

// modules are the names of the host's modules, each with those of its functions.
func (t permissions) modules() map[string][]string {
	all := make(map[string][]string)
	for _, p := range t {
		for _, f := range p.functions {
			all[f.module] = append(all[f.module], f.name)
		}
	}
	for _, names := range all {
		slices.Sort(names)
	}
	return all
}

// admit refuses a module that imports what the config does not grant, and could do
// nothing without.
func (t permissions) admit(m *preflight.Module, c *Config) error {
	for _, i := range m.Imports {
		p, _ := t.find(i.Module, i.Name)
		if p != nil && p.refuses() && !p.grantedBy(c) {
			return loadError(ErrGrant, nil, "%q.%q is for guests that are granted %q (to %s): grant it by Config.%s, or use a guest "+
				"that does not import it", i.Module, i.Name, p.name, p.meaning, p.grant.field)
		}
	}
	return nil
}

// export makes the functions that a module imports, and no others, in its runtime,
// which plugins with different grants share.
func (t permissions) export(r wazero.Runtime, imports []preflight.Import) error {
	builders := make(map[string]wazero.HostModuleBuilder)
	for _, i := range imports {
		p, f := t.find(i.Module, i.Name)
		call := f.call
		if p.refuses() {
			call = f.asGranted(p)
		}
		if builders[f.module] == nil {
			builders[f.module] = r.NewHostModuleBuilder(f.module)
		}
		// One that is imported twice is exported once: the later takes the place.
		builders[f.module].NewFunctionBuilder().WithGoModuleFunction(call, f.params, f.results).Export(f.name)
	}
	for _, b := range builders {
		if _, err := b.Instantiate(context.Background()); err != nil {
			return err
		}
	}
	return nil
}

// asGranted calls the function that the caller's own plugin is granted. It ends a call
// of any other plugin, although admit has let none in. As a rule the plugin's row is this one.
func (f *hostFunction) asGranted(row *permission) api.GoModuleFunction {
	module, name, call := f.module, f.name, f.call
	return api.GoModuleFunc(func(ctx context.Context, mod api.Module, stack []uint64) {
		granted := instanceOf(ctx).machine.granted
		if slices.Contains(granted, row) {
			call.Call(ctx, mod, stack)
			return
		}
		_, own := granted.find(module, name)
		if own == nil {
			panic(errNotGranted)
		}
		own.call.Call(ctx, mod, stack)
	})
}

// grantedBy returns the rows that a config grants. The rest of what is asked of a table
// is asked of these.
func (t permissions) grantedBy(c *Config) permissions {
	var granted permissions
	for _, p := range t {
		if p.grantedBy(c) {
			granted = append(granted, p)
		}
	}
	return granted
}

// prepare gives all instances alike what the rows that a plugin is granted work with.
func (t permissions) prepare(m *machine, config wazero.ModuleConfig) wazero.ModuleConfig {
	for _, p := range t {
		if p.prepare != nil {
			config = p.prepare(m, config)
		}
	}
	return config
}

// attach gives an executor what the rows that its plugin is granted work with.
func (t permissions) attach(ex *executor, config wazero.ModuleConfig) wazero.ModuleConfig {
	for _, p := range t {
		if p.attach != nil {
			config = p.attach(ex, config)
		}
	}
	return config
}

// open makes ready the rows that a plugin is granted.
func (t permissions) open(ctx context.Context, p *Plugin) error {
	for _, row := range t {
		if row.grant == nil || row.grant.open == nil {
			continue
		}
		if err := row.grant.open(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// close gives back what open made, no matter how far that came.
func (t permissions) close(p *Plugin) error {
	var errs []error
	for _, row := range t {
		if row.grant != nil && row.grant.close != nil {
			errs = append(errs, row.grant.close(p))
		}
	}
	return errors.Join(errs...)
}
