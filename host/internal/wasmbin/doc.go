// Package wasmbin reads and writes WebAssembly modules in binary form. What looks
// at a module, and what changes one, is built on it.
//
//   - [Reader] reads numbers, names and items, and keeps the first fault with its
//     position. The Append functions and the Append methods of items write them.
//   - [Module] is a list of sections. [Items] takes one apart and [SetItems] puts
//     it together, for imports, exports, functions and whatever else has a type
//     here. Sections that nobody touches stay as they are, byte by byte.
//   - [Walker] goes over the instructions of a function or of a constant expression.
//     It gives each instruction's position and immediates without allocating, and
//     copies it, changed or not, with [Walker.Append].
//   - [Opcode] is the key of the one table of instructions: name, layout of the
//     immediates, feature. Whoever knows more of instructions, such as what one
//     costs, keeps an array of [Opcodes] entries beside it.
//   - [Code] writes instructions.
//
// The package decides nothing: it does not validate, has no limits, and knows no
// guest. It believes no count that the bytes behind it do not carry, so that time
// and memory are bounded by the input's length.
package wasmbin
