// Command pack makes the archive for new projects from the examples. Run it in the
// root of the repository.
//
//	pack            writes projects.zip
//	pack -verify    fails if projects.zip is not what the examples make
package main

import (
	"archive/zip"
	"bytes"
	"flag"
	"fmt"
	"os"

	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/project/sources"
)

const archive = "host/cmd/waddle/internal/project/projects.zip"

func main() {
	verify := flag.Bool("verify", false, "compare instead of writing")
	flag.Parse()
	if err := run(*verify); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(verify bool) error {
	files, err := sources.Read("examples/guests")
	if err != nil {
		return fmt.Errorf("%w (run it in the root of the repository)", err)
	}
	if verify {
		packed, err := os.ReadFile(archive)
		if err != nil {
			return err
		}
		return sources.Compare(packed, files)
	}
	var packed bytes.Buffer
	w := zip.NewWriter(&packed)
	for _, f := range files {
		// No times and no permissions: the same files make the same archive.
		entry, err := w.CreateHeader(&zip.FileHeader{Name: f.Name, Method: zip.Deflate})
		if err != nil {
			return err
		}
		if _, err := entry.Write(f.Content); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	if err := os.WriteFile(archive, packed.Bytes(), 0o644); err != nil {
		return err
	}
	fmt.Printf("%s: %d files, %d bytes\n", archive, len(files), packed.Len())
	return nil
}
