package plugintest

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/waddle-sessions/waddle/abi"
)

// Some of what a guest must do its host hides: it looks at sizes before it
// calls, takes the NOT_FOUND of a deletion for success, restores well-formed
// lists only. To see it all the same, such checks run a copy of the module with
// a function added to it, which stands in the place of an export and passes
// calls on to others: the host runs the guest as it runs any, and a session_get
// is really, say, a session_restore.

// patch is a module taken apart as far as that needs.
type patch struct {
	sections []section
	exports  []export
	imported uint32   // functions that are imported; the others follow
	types    []uint32 // of the functions that are not, and of added ones
	added    [][]byte // bodies
}

type section struct {
	id   byte
	body []byte
}

type export struct {
	name  string
	kind  byte
	index uint32
}

const (
	sectionImport   = 2
	sectionFunction = 3
	sectionExport   = 7
	sectionCode     = 10
)

var errPatch = errors.New("plugintest: the module cannot be taken apart")

// takeApart reads a module that the host would run.
func takeApart(wasm []byte) (p *patch, err error) {
	defer func() {
		if recover() != nil { // read past the end
			p, err = nil, errPatch
		}
	}()
	p = new(patch)
	for r := (reader{b: wasm[8:]}); len(r.b) > 0; {
		s := section{id: r.byte()}
		s.body = r.take(r.number())
		p.sections = append(p.sections, s)
		switch in := (reader{b: s.body}); s.id {
		case sectionImport:
			for range in.number() {
				in.take(in.number())
				in.take(in.number())
				if kind := in.byte(); kind != 0 {
					return nil, fmt.Errorf("%w: it imports something that is not a function", errPatch)
				}
				in.number()
				p.imported++
			}
		case sectionFunction:
			for range in.number() {
				p.types = append(p.types, in.number())
			}
		case sectionExport:
			for range in.number() {
				p.exports = append(p.exports, export{string(in.take(in.number())), in.byte(), in.number()})
			}
		}
	}
	return p, nil
}

// function returns the index of an exported function.
func (p *patch) function(name string) (index uint32, ok bool) {
	for _, e := range p.exports {
		if e.name == name && e.kind == 0 {
			return e.index, true
		}
	}
	return 0, false
}

// drop takes an export away.
func (p *patch) drop(name string) {
	for i, e := range p.exports {
		if e.name == name {
			p.exports = append(p.exports[:i:i], p.exports[i+1:]...)
			return
		}
	}
}

// replace puts a function with the code in the place of an exported one of the
// same signature. The code has locals of its own behind the parameters, all i32.
func (p *patch) replace(name string, locals uint32, code []byte) error {
	for i, e := range p.exports {
		if e.name != name {
			continue
		}
		if e.index < p.imported {
			return fmt.Errorf("%w: %s is an import", errPatch, name)
		}
		p.exports[i].index = p.imported + uint32(len(p.types))
		p.types = append(p.types, p.types[e.index-p.imported])
		body := []byte{0}
		if locals > 0 {
			body = append(binary.AppendUvarint([]byte{1}, uint64(locals)), 0x7f)
		}
		p.added = append(p.added, append(append(body, code...), opEnd))
		return nil
	}
	return fmt.Errorf("%w: it does not export %s", errPatch, name)
}

// bytes puts the module together.
func (p *patch) bytes() []byte {
	out := []byte("\x00asm\x01\x00\x00\x00")
	for _, s := range p.sections {
		body := s.body
		switch s.id {
		case sectionFunction:
			body = binary.AppendUvarint(nil, uint64(len(p.types)))
			for _, t := range p.types {
				body = binary.AppendUvarint(body, uint64(t))
			}
		case sectionExport:
			body = binary.AppendUvarint(nil, uint64(len(p.exports)))
			for _, e := range p.exports {
				body = append(binary.AppendUvarint(body, uint64(len(e.name))), e.name...)
				body = binary.AppendUvarint(append(body, e.kind), uint64(e.index))
			}
		case sectionCode:
			r := reader{b: s.body}
			body = binary.AppendUvarint(nil, uint64(r.number())+uint64(len(p.added)))
			body = append(body, r.b...)
			for _, f := range p.added {
				body = append(binary.AppendUvarint(body, uint64(len(f))), f...)
			}
		}
		out = append(binary.AppendUvarint(append(out, s.id), uint64(len(body))), body...)
	}
	return out
}

// reader panics at the end of what it reads, so that no count is believed that
// the bytes behind it do not carry.
type reader struct{ b []byte }

func (r *reader) byte() byte { return r.take(1)[0] }

func (r *reader) take(n uint32) []byte {
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) number() uint32 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		panic(errPatch)
	}
	r.take(uint32(n))
	return uint32(v)
}

// The instructions that the added functions are made of.
const (
	opIf       = 0x04
	opEnd      = 0x0b
	opReturn   = 0x0f
	opCall     = 0x10
	opLocalGet = 0x20
	opLocalSet = 0x21
	opLoad32   = 0x28
	opLoad8    = 0x2d
	opStore8   = 0x3a
	opConst32  = 0x41
	opConst64  = 0x42
	opEqual32  = 0x46
	opAdd32    = 0x6a
	opSub32    = 0x6b
	noResult   = 0x40
)

func call(function uint32) []byte { return binary.AppendUvarint([]byte{opCall}, uint64(function)) }

// const32 is i32.const with a number below 2^31.
func const32(n int) []byte {
	out := []byte{opConst32}
	for {
		b := byte(n & 0x7f)
		n >>= 7
		if n == 0 && b&0x40 == 0 {
			return append(out, b)
		}
		out = append(out, b|0x80)
	}
}

// What the first byte of a key stands for in a module made by direct.
const (
	directGet byte = iota
	directDelete
	directRestore
	directSweep // behind it, max as u32
	directFlush // likewise
)

// direct returns the module without its description, whose session_get passes
// on to the export that the first byte of the key names: with the rest of the
// key as the key, the list or the number. One that is absent answers
// UNSUPPORTED. What session_sweep and session_flush return comes as the length of a
// value. Its session_set is that of replaceSet.
func direct(wasm []byte) ([]byte, error) {
	p, err := takeApart(wasm)
	if err != nil {
		return nil, err
	}
	const ptr, length, now, first = 0, 1, 2, 3
	rest := []byte{opLocalGet, ptr, opConst32, 1, opAdd32, opLocalGet, length, opConst32, 1, opSub32, opLocalGet, now}
	max := []byte{opLocalGet, now, opLocalGet, ptr, opLoad32, 0, 1}
	code := []byte{opLocalGet, ptr, opLoad8, 0, 0, opLocalSet, first}
	for _, to := range []struct {
		selector  byte
		export    string
		arguments []byte
	}{
		{directGet, abi.ExportGet, rest}, {directDelete, abi.ExportDelete, rest},
		{directRestore, abi.ExportRestore, rest}, {directSweep, abi.ExportSweep, max},
		{directFlush, abi.ExportFlush, max},
	} {
		f, ok := p.function(to.export)
		if !ok {
			continue
		}
		code = append(code, opLocalGet, first, opConst32, to.selector, opEqual32, opIf, noResult)
		code = append(append(code, to.arguments...), call(f)...)
		code = append(code, opReturn, opEnd)
	}
	code = append(code, opConst64, byte(0x80+abi.Unsupported)) // in seven bits
	if err := p.replace(abi.ExportGet, 1, code); err != nil {
		return nil, err
	}
	if err := p.replaceSet(); err != nil {
		return nil, err
	}
	p.drop(abi.ExportDescribe)
	return p.bytes(), nil
}
