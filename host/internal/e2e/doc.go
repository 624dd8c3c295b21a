// Package e2e holds no code but tests, of the engines that keep files, from the
// store down to the disk: over real directories, with real processes that are
// killed and a real file system that loses its power, and what a directory can
// suffer besides.
package e2e
