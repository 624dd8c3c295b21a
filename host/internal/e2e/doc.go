// Package e2e contains only tests, of the engines that keep files, from the store
// down to the disk: over real directories, with real processes that are killed and a
// real file system that loses its power, and with other damage to a directory; and of
// several processes that share one database.
package e2e
