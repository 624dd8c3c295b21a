// Package abi holds the names and numbers of Waddle's plugin interface,
// version 1: the contract between a host that runs sessions and a WebAssembly
// guest that stores them.
//
// SPEC.md beside this file is the contract itself, written so that a guest can be made
// from it in any language. The constants here are the same contract for Go code on either
// side of it. Where the two differ, SPEC.md is right and the constants have a bug.
//
// The package imports nothing, so it adds nothing to a guest that imports it.
package abi
