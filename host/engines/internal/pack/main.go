// Command pack makes a bundled engine faster and smaller than Go has built it, and
// compresses it for embedding. With -verify it does the same with one just built, and
// compares it with the embedded one.
//
//	pack ENGINE.wasm                         writes ENGINE.wasm.gz and removes ENGINE.wasm
//	pack -verify ENGINE.wasm.gz BUILT.wasm   fails if they differ
package main

import (
	"bytes"
	"crypto/sha256"
	"flag"
	"fmt"
	"os"

	"github.com/waddle-sessions/waddle/host/engines/internal/bundle"
)

func main() {
	verify := flag.Bool("verify", false, "compare instead of writing")
	flag.Parse()
	var err error
	switch {
	case *verify && flag.NArg() == 2:
		err = compare(flag.Arg(0), flag.Arg(1))
	case !*verify && flag.NArg() == 1:
		err = pack(flag.Arg(0))
	default:
		err = fmt.Errorf("usage: pack ENGINE.wasm | pack -verify ENGINE.wasm.gz BUILT.wasm")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func pack(path string) error {
	built, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	wasm, report, err := finish(built)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	packed, err := bundle.Pack(wasm)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".gz", packed, 0o644); err != nil {
		return err
	}
	fmt.Printf("%s.gz: %d bytes of %d, sha256 of the module %x; of %d functions %d have no table, %d of them with a copy\n",
		path, len(packed), len(wasm), sha256.Sum256(wasm), report.Functions, report.Structured, report.Copied)
	return os.Remove(path)
}

func compare(committedPath, builtPath string) error {
	packed, err := os.ReadFile(committedPath)
	if err != nil {
		return err
	}
	committed, err := bundle.Unpack(packed)
	if err != nil {
		return err
	}
	built, err := os.ReadFile(builtPath)
	if err != nil {
		return err
	}
	if built, _, err = finish(built); err != nil {
		return fmt.Errorf("%s: %w", builtPath, err)
	}
	if !bytes.Equal(committed, built) {
		return fmt.Errorf("%s holds a module of %d bytes, sha256 %x; its sources build one of %d bytes, sha256 %x: run `make engines` and commit the result",
			committedPath, len(committed), sha256.Sum256(committed), len(built), sha256.Sum256(built))
	}
	fmt.Printf("%s: as built from its sources, sha256 %x\n", committedPath, sha256.Sum256(built))
	return nil
}
