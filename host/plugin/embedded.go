package plugin

import (
	"context"
	"crypto/sha256"
)

// Embedded is a module that is part of the program, in a form that takes time to unpack. It
// is unpacked only if its code is not in [Config.CacheDir].
type Embedded struct {
	// Sum is the SHA-256 sum of the module. It is believed where the code comes from the
	// directory, and compared with the module where it is unpacked.
	Sum [sha256.Size]byte

	// Unpack returns the module. It may be called many times and by many goroutines, and
	// nobody changes what it returns.
	Unpack func() ([]byte, error)

	whole []byte // given as bytes; Sum is found by the host
}

// OpenEmbedded is [Open] for a module that is part of the program. The host takes it for one
// that the compiler was tried on: where nothing else runs on the host yet, all cores compile it. A panic
// of the compiler would end the program then, and not only fail to open the module.
func OpenEmbedded(ctx context.Context, module Embedded, config Config) (*Plugin, error) {
	if module.Unpack == nil {
		return nil, configError("Embedded.Unpack is nil: must return the module")
	}
	module.whole = nil
	return open(ctx, module, config, "guest")
}

// given is the module of somebody who has its bytes.
func given(wasm []byte) Embedded { return Embedded{whole: wasm} }

// bytes returns the module.
func (e Embedded) bytes() ([]byte, error) {
	if e.Unpack == nil {
		return e.whole, nil
	}
	wasm, err := e.Unpack()
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(wasm); sum != e.Sum {
		return nil, loadError(ErrModule, nil, "its SHA-256 sum is %x: must be %x, as Embedded.Sum says", sum, e.Sum)
	}
	return wasm, nil
}

// tried reports whether the program's maker knows that the module compiles.
func (e Embedded) tried() bool { return e.Unpack != nil }
