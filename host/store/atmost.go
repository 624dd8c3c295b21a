package store

import (
	"context"
	"errors"
	"fmt"
)

// ErrOversized is a stored value that is larger than was asked for. It is no
// ErrTooLarge, which a store may answer for reasons of its own.
var ErrOversized = errors.New("store: the stored value is larger than was asked for")

// Bounded is a Store that can be asked for a value up to a size. What is larger
// never leaves it: a value that somebody made very large costs whoever asks for it
// no memory.
//
// GetAtMost is another form of Get, and not an ability of its own. So it is asked of
// the outermost store alone, by [As] too: the one beneath a wrapper would answer
// past the wrapper's Get. A wrapper that implements it passes it on by [AtMost].
type Bounded interface {
	// GetAtMost is Get that returns ErrOversized for a value of more than most
	// bytes, without having made a copy of it.
	GetAtMost(ctx context.Context, key []byte, now Millis, most int) ([]byte, error)
}

// AtMost returns a store's own Bounded, or for a store that has none one that gets
// values by the store's Get and drops what is too large.
func AtMost(s Store) Bounded {
	if b, ok := s.(Bounded); ok {
		return b
	}
	return dropping{s}
}

type dropping struct{ store Store }

func (d dropping) GetAtMost(ctx context.Context, key []byte, now Millis, most int) ([]byte, error) {
	value, err := d.store.Get(ctx, key, now)
	if err == nil {
		err = CheckSize(len(value), most)
	}
	if err != nil {
		return nil, err
	}
	return value, nil
}

// CheckSize returns ErrOversized for a value of more than most bytes that is
// stored.
func CheckSize(size, most int) error {
	if size > most {
		return fmt.Errorf("%w: a stored value of %d bytes, and at most %d are wanted", ErrOversized, size, most)
	}
	return nil
}
