package image

import "sync"

// Available returns nil, or an [ErrUnavailable] that says why memories cannot be
// mapped from images here: another system than Linux, or one that does not allow
// what it takes. It is found out once, by trying.
func Available() error { return available() }

var available = sync.OnceValue(try)
