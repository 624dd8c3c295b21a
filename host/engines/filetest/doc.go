// Package filetest contains only tests, of the engines that keep files: over real
// directories, with real processes that are killed and a real file system that
// loses its power, and with other damage to a directory.
package filetest
