// Package protocol manages the instances of a guest, whatever runs them: it chooses
// the instance for a call, and handles locks, failures and the pauses after them,
// operations that a guest lacks (compare-and-set, touch, restoring), enumerations,
// saving and closing.
//
// An [Instance] is the guest's side: one method for each export of abi/SPEC.md.
// Package plugin has one that runs on wazero, package guesttest one that is Go code.
// A [Store] made of instances is a store.Store.
//
// Nothing here runs by itself: no goroutine or ticker exists between calls.
// Sweeping, saving and counting are steps that a scheduler calls.
package protocol
