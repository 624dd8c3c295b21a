// Package interp runs modules in the plainest way there is and counts their fuel. It is
// the yardstick for the rewriter: it implements the definition in the documentation of
// package rewrite from that text, and shares only the weights of instructions with it.
//
// It knows the instructions that package modgen uses. It does not validate.
package interp
