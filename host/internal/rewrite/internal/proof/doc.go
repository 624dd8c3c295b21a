// Package proof holds the tests that a rewritten module does what it did before, and
// that its fuel is what the definition says: random modules in both of the runtime's
// engines and in package interp, the modules of the specification's own tests, modules
// with random faults, and the guests of this repository.
package proof
