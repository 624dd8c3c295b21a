// Package project writes new storage plugins: the examples of this repository, one
// for each language, under a new name. They come from examples/guests through
// projects.zip, which the program in pack makes.
package project
