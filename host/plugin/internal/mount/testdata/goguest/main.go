// A guest in Go that uses files as a storage engine does. It prints what went
// wrong and exits with 1.
package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

func check(err error, what string) {
	if err != nil {
		fmt.Printf("%s: %v\n", what, err)
		os.Exit(1)
	}
}

func expect(err, want error, what string) {
	if !errors.Is(err, want) {
		fmt.Printf("%s: %v, and expected was %v\n", what, err, want)
		os.Exit(1)
	}
}

func syncDir(path string) {
	d, err := os.Open(path)
	check(err, "open directory")
	check(d.Sync(), "sync directory")
	check(d.Close(), "close directory")
}

func replace(path, text string) {
	f, err := os.OpenFile(path+".tmp", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	check(err, "create")
	_, err = f.WriteString(text)
	check(err, "write")
	check(f.Sync(), "sync")
	check(f.Close(), "close")
	check(os.Rename(path+".tmp", path), "rename")
	syncDir(filepath.Dir(path))
}

func main() {
	check(os.MkdirAll("/store/ab/cd", 0o755), "mkdir")
	replace("/store/ab/cd/record", "one")
	replace("/store/ab/cd/record", "second")
	text, err := os.ReadFile("/store/ab/cd/record")
	check(err, "read")
	if string(text) != "second" {
		check(fmt.Errorf("%q", text), "contents")
	}

	segment, err := os.OpenFile("/store/segment", os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	check(err, "open for appending")
	for i := range 10 {
		_, err := fmt.Fprintf(segment, "%d\n", i)
		check(err, "append")
	}
	buf := make([]byte, 4)
	_, err = segment.ReadAt(buf, 8)
	check(err, "read at")
	if string(buf) != "4\n5\n" {
		check(fmt.Errorf("%q", buf), "contents at 8")
	}
	check(segment.Truncate(6), "truncate")
	_, err = segment.WriteString("end")
	check(err, "append after truncating")
	_, err = segment.Seek(0, io.SeekStart)
	check(err, "seek")
	text, err = io.ReadAll(segment)
	check(err, "read all")
	if string(text) != "0\n1\n2\nend" {
		check(fmt.Errorf("%q", text), "contents of the segment")
	}

	var found []string
	check(filepath.WalkDir("/store", func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			_, err = d.Info()
		}
		found = append(found, path)
		return err
	}), "walk")
	if want := "[/store /store/ab /store/ab/cd /store/ab/cd/record /store/segment]"; fmt.Sprint(found) != want {
		check(fmt.Errorf("%v", found), "entries")
	}

	_, err = segment.Write(make([]byte, 1<<20))
	expect(err, syscall.ENOSPC, "write beyond the quota")
	_, err = os.Open("/store/../../etc/passwd")
	expect(err, syscall.EBADF, "open outside") // this guest knows no directory there
	expect(os.Symlink("/etc", "/store/link"), fs.ErrPermission, "symlink")
	expect(os.Link("/store/segment", "/store/link"), fs.ErrPermission, "link")
	expect(os.Mkdir("/store/.waddle.lock", 0o700), fs.ErrPermission, "hidden name")
	var open []*os.File
	for {
		f, err := os.Open("/store/segment")
		if err != nil {
			expect(err, syscall.EMFILE, "open for ever")
			break
		}
		open = append(open, f)
	}
	for _, f := range open {
		check(f.Close(), "close")
	}
	check(segment.Close(), "close")
	check(os.RemoveAll("/store/ab"), "remove all")
	check(os.Remove("/store/segment"), "remove")
}
