package untangle

import (
	"fmt"

	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// Options say what is done.
type Options struct {
	// Fast picks functions by their names in the section "name". Each has a copy for
	// being resumed in the middle, and so takes more room.
	Fast func(name string) bool
}

// Report says what was done.
type Report struct {
	Functions  int // of the module itself
	Structured int // have blocks and loops in place of the table
	Copied     int // of those, the ones with a copy
	Threaded   int // keep their table, and only jump back through it
}

// Module returns the faster module. It must have the section "name", without which
// functions are not recognised that never return.
func Module(wasm []byte, o Options) ([]byte, *Report, error) {
	m, err := wasmbin.Parse(wasm)
	if err != nil {
		return nil, nil, err
	}
	w := work{options: o}
	if err := w.read(m); err != nil {
		return nil, nil, err
	}
	w.Functions = len(w.bodies)
	for n := range w.Functions {
		if err := w.function(n); err != nil {
			return nil, nil, fmt.Errorf("function %d, %s: %w", w.imported+n, w.name(n), err)
		}
	}
	wasmbin.SetItems(m, wasmbin.SectionFunction, w.types)
	wasmbin.SetItems(m, wasmbin.SectionCode, w.bodies)
	return m.Append(nil), &w.Report, nil
}

// work is a module being changed.
type work struct {
	Report
	options  Options
	imported int
	types    []wasmbin.Index // of the functions that have a body
	bodies   []wasmbin.Body
	names    map[uint32]string
}

func (w *work) name(n int) string { return w.names[uint32(w.imported+n)] }

func (w *work) read(m *wasmbin.Module) error {
	imports, err := wasmbin.Items(m, wasmbin.SectionImport, (*wasmbin.Reader).Import)
	if err != nil {
		return err
	}
	for _, i := range imports {
		if i.Kind == wasmbin.KindFunction {
			w.imported++
		}
	}
	if w.types, err = wasmbin.Items(m, wasmbin.SectionFunction, (*wasmbin.Reader).Index); err != nil {
		return err
	}
	if w.bodies, err = wasmbin.Items(m, wasmbin.SectionCode, (*wasmbin.Reader).Body); err != nil {
		return err
	}
	if len(w.types) != len(w.bodies) {
		return fmt.Errorf("there are %d functions and %d bodies", len(w.types), len(w.bodies))
	}
	w.names = make(map[uint32]string)
	section, r := m.Custom("name")
	if section == nil {
		return fmt.Errorf("the module has no section \"name\": build it without -ldflags=-s")
	}
	for r.More() {
		id, content := r.Subsection()
		if id != wasmbin.NamesFunctions {
			continue
		}
		for n := content.U32(); n > 0 && content.Err == nil; n-- {
			naming := content.Naming()
			w.names[naming.Index] = naming.Name
		}
		if content.Err != nil {
			return content.Err
		}
	}
	return r.Err
}

// function changes the body of a function, if it has the form that Go writes.
func (w *work) function(n int) error {
	f, err := readFunction(w.bodies[n])
	if err != nil {
		return err
	}
	f.code = w.trapBehindEnds(f.code)
	onStack := keepsStackPointer(f.code)
	if form, ok := formOf(f); ok {
		switch resumed := form.resumed(); {
		case !resumed && w.structure(f, form):
		case resumed && w.options.Fast != nil && w.options.Fast(w.name(n)) && w.structure(f, form):
			w.Copied++
			old := &function{f.locals, shorten(form.thread(), onStack)}
			f.code = append(resume(uint32(w.imported+len(w.bodies))), f.code...)
			w.types = append(w.types, w.types[n])
			w.bodies = append(w.bodies, old.body())
		default:
			w.Threaded++
			f.code = form.thread()
		}
	}
	f.code = shorten(f.code, onStack)
	w.bodies[n] = f.body()
	return nil
}

func (w *work) structure(f *function, form *form) bool {
	code, ok := form.structured()
	if ok {
		w.Structured++
		f.code = code
	}
	return ok
}

// resume is the beginning of a function with a copy, to which it leaves all calls that do
// not begin at the beginning.
func resume(index uint32) []instruction {
	return []instruction{
		{op: wasmbin.OpLocalGet, first: startsAt},
		{op: wasmbin.OpIf},
		{op: wasmbin.OpLocalGet, first: startsAt},
		{op: wasmbin.OpCall, first: index},
		{op: wasmbin.OpReturn},
		{op: wasmbin.OpEnd},
	}
}
