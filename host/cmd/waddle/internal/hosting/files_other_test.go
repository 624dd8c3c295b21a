//go:build !unix

package hosting

import "errors"

func mkfifo(string) error { return errors.ErrUnsupported }
