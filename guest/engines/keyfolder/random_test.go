package main_test

import "crypto/rand"

// randomSource is what a host gives: wazero's own is the same every time.
type randomSource struct{}

func (randomSource) Read(b []byte) (int, error) { return rand.Read(b) }
