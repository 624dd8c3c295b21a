// Package protocol is what a host does around the instances of a guest, whatever
// runs them: which instance serves a call, locks, failures and the pauses after
// them, what a guest lacks (compare-and-set, touch, restoring), enumerations,
// saving and the end.
//
// An [Instance] is the guest's side: one method for each export of abi/SPEC.md.
// Package plugin has one that runs on wazero, package guesttest one that is Go code.
// The [Store] that comes of them is a store.Store.
//
// Nothing here runs by itself: there is neither goroutine nor ticker between two
// calls. Sweeping, saving and counting are steps for somebody's scheduler.
package protocol
