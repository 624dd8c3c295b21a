// Package tools lists in its go.mod the programs that check the code, in the
// versions that everybody uses. Its tests cover the repository as a whole: that its
// modules can be fetched and used, and that the results of those programs count. It
// is a module of its own, so that none of this reaches an importer.
package tools
