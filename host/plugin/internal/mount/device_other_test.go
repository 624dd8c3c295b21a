//go:build unix && !linux

package mount_test

import "errors"

func makeDevice(string) error { return errors.ErrUnsupported }
