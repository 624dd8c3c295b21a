package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// filesystemMemory is what fsName returns for a file system in memory: durability
// costs nothing there, so nothing can be said about it.
const filesystemMemory = "tmpfs"

// scratchDir makes a directory for the measured files: within parent or, if none
// is named, in the first usual place that is on a disk. It also returns the name
// of the file system.
func scratchDir(parent string) (dir, filesystem string, err error) {
	places := []string{parent}
	if parent == "" {
		places = []string{os.TempDir()}
		if cache, err := os.UserCacheDir(); err == nil {
			places = append(places, cache)
		}
		places = append(places, ".", os.TempDir())
	}
	for i, place := range places {
		if place, err = filepath.Abs(place); err != nil {
			return "", "", err
		}
		filesystem = fsName(place)
		if filesystem == filesystemMemory && i < len(places)-1 {
			continue
		}
		if dir, err = os.MkdirTemp(place, "sessions-bench-"); err == nil {
			return dir, filesystem, nil
		}
	}
	return "", "", err
}

// diskUse sums up the files of a directory and below: their lengths, and what the
// disk has allocated for them and the directories (0 if unknown).
func diskUse(dir string) (length, allocated int64, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if info.Mode().IsRegular() {
			length += info.Size()
		}
		allocated += blocks(path)
		return nil
	})
	return length, allocated, err
}

// cool makes the system drop what it has cached of the files of a directory. It
// reports whether it could.
func cool(dir string) (bool, error) {
	flush(dir)
	all := true
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		all = forget(f) && all
		return nil
	})
	return all, err
}
