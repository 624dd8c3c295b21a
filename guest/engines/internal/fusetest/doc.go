// Package fusetest contains only tests. They run the program "waddle run", with
// its sessions in files, on a mounted file system that fails according to a plan
// and loses its power. README.md describes them.
//
// It is a module of its own, so that importing the root module does not pull in
// what serves a file system.
package fusetest
