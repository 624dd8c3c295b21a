// Package filetest holds no code but tests, of the engines that keep files: over
// real directories, with real processes that are killed and a real file system
// that loses its power, and what a directory can suffer besides.
package filetest
