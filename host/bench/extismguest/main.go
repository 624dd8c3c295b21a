//go:build wasip1

// Command extismguest is the storage operation of the comparison as an Extism
// plugin: values under keys of 32 bytes in a Go map.
package main

import pdk "github.com/extism/go-pdk"

const keySize = 32

var values = map[[keySize]byte][]byte{}

// get takes a key and outputs the value.
//
//go:wasmexport get
func get() int32 {
	input := pdk.Input()
	if len(input) != keySize {
		pdk.SetErrorString("get takes a key of 32 bytes")
		return 1
	}
	value, ok := values[[keySize]byte(input)]
	if !ok {
		pdk.SetErrorString("no such key")
		return 1
	}
	pdk.Output(value)
	return 0
}

// set takes a key followed directly by the value.
//
//go:wasmexport set
func set() int32 {
	input := pdk.Input()
	if len(input) < keySize {
		pdk.SetErrorString("set takes a key of 32 bytes and a value")
		return 1
	}
	values[[keySize]byte(input)] = input[keySize:] // Input is a fresh copy
	return 0
}

func main() {}
