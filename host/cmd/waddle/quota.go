package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/waddle-sessions/waddle/host/plugin"
)

// quota limits what a module from a file may have in its directory.
type quota struct {
	bytes bytesFlag
	files int64
}

// addQuota adds the flags of a quota.
func addQuota(cmd *cobra.Command, q *quota) {
	q.bytes = plugin.DefaultMountBytes
	cmd.Flags().Var(&q.bytes, "mount-bytes", "limit the files of a module from a file to `SIZE`, such as 500MiB")
	cmd.Flags().Int64Var(&q.files, "mount-files", 0, "limit them to `N` files and directories; 0 for one for each 4 KiB of --mount-bytes")
	fixed(cmd, "mount-bytes", "100MiB", "1GiB", "10GiB")
	fixed(cmd, "mount-files", "10000", "100000", "1000000")
}

func (q quota) check() error {
	if q.files < 0 {
		return usagef("--mount-files is %d: must be a number of files and directories, or 0 for one for each 4 KiB of --mount-bytes", q.files)
	}
	return nil
}

// mount is a directory with the quota.
func (q quota) mount(dir string) plugin.Mount {
	return plugin.Mount{Dir: dir, MaxBytes: int64(q.bytes), MaxFiles: q.files}
}

// bytesFlag is a number of bytes.
type bytesFlag int64

var byteUnits = []struct {
	suffix string
	bytes  int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

func (f *bytesFlag) String() string {
	for _, u := range byteUnits {
		if n := int64(*f); n >= u.bytes && n%u.bytes == 0 {
			return fmt.Sprint(n/u.bytes, u.suffix)
		}
	}
	return fmt.Sprint(int64(*f))
}

func (f *bytesFlag) Set(text string) error {
	number, unit := text, int64(1)
	for _, u := range byteUnits {
		if n, ok := strings.CutSuffix(text, u.suffix); ok {
			number, unit = n, u.bytes
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 1 || n > math.MaxInt64/unit {
		return errors.New("at least 1 byte, in bytes, KiB, MiB or GiB, such as 500MiB")
	}
	*f = bytesFlag(n * unit)
	return nil
}

func (f *bytesFlag) Type() string { return "SIZE" }
