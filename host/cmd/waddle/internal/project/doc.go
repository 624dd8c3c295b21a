// Package project writes new storage plugins: the examples of this repository,
// one for each language, under a name of one's own. They come from
// examples/guests by way of projects.zip, which the program in pack makes.
package project
