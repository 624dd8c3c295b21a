// Package fusetest holds no code but tests, of the program "waddle run" with its
// sessions in files: on a mounted file system that fails as a plan says and loses
// its power. README.md has what it does.
//
// It is a module of its own, so that nobody who imports the root module pulls what
// serves a file system.
package fusetest
