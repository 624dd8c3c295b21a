// Package migration moves all records of one store to another, in another form if that
// is asked for, and verifies that they arrived.
//
// A migration that was interrupted, however it was, goes on when it is run again: a record
// that is already there as it should be is not written a second time. So the target itself
// says how far the migration got, and a [Journal] beside it only says which one it is.
package migration
