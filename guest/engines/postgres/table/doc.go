// Package table keeps the records of the engine in a table of PostgreSQL. Any number of
// tables, in any number of processes, may share it.
//
// A [Table] holds connections and no record. Everything that must be decided between
// writers is decided by the server, in one statement each. A Table is for one goroutine.
package table
