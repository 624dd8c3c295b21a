// Package tools has in its go.mod the programs that look at the code, in versions
// that everybody uses, and in its tests what is true of the repository as a whole:
// that its modules can be fetched and used, and that those programs are listened to.
// It is a module of its own, so that none of that reaches an importer.
package tools
