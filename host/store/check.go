package store

import (
	"fmt"

	"github.com/waddle-sessions/waddle/abi"
)

// CheckKey returns ErrInvalid for an empty key and ErrTooLarge for one above
// [abi.MaxKey].
func CheckKey(key []byte) error {
	if len(key) == 0 {
		return fmt.Errorf("%w: the key is empty: must be 1 to %d bytes", ErrInvalid, abi.MaxKey)
	}
	if len(key) > abi.MaxKey {
		return fmt.Errorf("%w: the key is %d bytes: must be at most %d", ErrTooLarge, len(key), abi.MaxKey)
	}
	return nil
}

// CheckWrite returns an error for a key or value outside the limits that all stores
// share.
func CheckWrite(w Write) error {
	if err := CheckKey(w.Key); err != nil {
		return err
	}
	if len(w.Value) > abi.MaxValue {
		return fmt.Errorf("%w: the value is %d bytes: must be at most %d", ErrTooLarge, len(w.Value), abi.MaxValue)
	}
	return nil
}
