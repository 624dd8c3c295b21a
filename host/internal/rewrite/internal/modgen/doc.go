// Package modgen makes random valid modules for tests of the rewriter. The same seed
// makes the same module.
//
// What it makes is meant to be hard on a rewriter rather than to look like a compiler's
// output: branches with more values on the stack than the label takes, blocks with
// parameters, code after a branch where the stack has any type, many locals, functions
// near every bound that a rewriter may have, segments that overlap or do not fit.
// Floating-point arithmetic is left out, since the bits of a NaN differ between engines.
//
// Most modules end soon, because each loop counts down a local of its own, and because
// recursion counts down a global. A few do not end at all, and some take too long.
package modgen
