package plugintest

import "github.com/waddle-sessions/waddle/abi"

// restoreKey is the key whose session_set, in a module made by direct, is really a
// session_restore of the value: a key, which direct takes lists from too, is short.
var restoreKey = []byte{1}

// replaceSet has session_set take the value for a list and pass it on to
// session_restore if the key is restoreKey.
func (p *patch) replaceSet() error {
	set, ok := p.function(abi.ExportSet)
	if !ok {
		return errPatch
	}
	const key, keyLength, value, length, now, expect = 0, 1, 2, 3, 5, 6
	var code []byte
	if restore, ok := p.function(abi.ExportRestore); ok {
		code = append(code, opLocalGet, keyLength, opConst32, 1, opEqual32, opIf, noResult)
		code = append(code, opLocalGet, key, opLoad8, 0, 0, opConst32, restoreKey[0], opEqual32, opIf, noResult)
		code = append(code, opLocalGet, value, opLocalGet, length, opLocalGet, now)
		code = append(append(code, call(restore)...), opReturn, opEnd, opEnd)
	}
	for local := range byte(expect + 1) {
		code = append(code, opLocalGet, local)
	}
	return p.replace(abi.ExportSet, 0, append(code, call(set)...))
}

// withBytes returns the module with a session_open that writes a byte into the
// config, at each of the offsets from its start, before it passes it on.
func withBytes(wasm []byte, offsets []int, b byte) ([]byte, error) {
	p, err := takeApart(wasm)
	if err != nil {
		return nil, err
	}
	open, ok := p.function(abi.ExportOpen)
	if !ok {
		return nil, errPatch
	}
	var code []byte
	for _, offset := range offsets {
		code = append(append(append(append(code, opLocalGet, 0), const32(offset)...), opAdd32), const32(int(b))...)
		code = append(code, opStore8, 0, 0)
	}
	code = append(code, opLocalGet, 0, opLocalGet, 1)
	if err := p.replace(abi.ExportOpen, 0, append(code, call(open)...)); err != nil {
		return nil, err
	}
	return p.bytes(), nil
}
