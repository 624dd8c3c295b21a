//go:build !unix

package mount

import "os"

// place is empty on systems where an open directory cannot be removed or moved.
type place struct{}

func placeOf(*os.Root, string) (place, error) { return place{}, nil }

func (*place) same() bool { return true }
