// Package wasmbin reads and writes WebAssembly modules in binary form. Everything
// that inspects or changes a module is built on it.
//
//   - [Reader] reads numbers, names and items, and keeps the first fault with its
//     position. The Append functions and the Append methods of items write them.
//   - [Module] is a list of sections. [Items] takes one apart and [SetItems]
//     assembles it, for imports, exports, functions and whatever else has a type
//     here. Sections that nobody changes stay as they are, byte by byte.
//   - [Walker] goes over the instructions of a function or of a constant expression.
//     It gives each instruction's position and immediates without allocating, and
//     [Walker.Append] copies the instruction, changed or not.
//   - [Opcode] is the key of the one table of instructions: name, layout of the
//     immediates, feature. A package that knows more about instructions, such as
//     their costs, keeps an array of [Opcodes] entries of its own.
//   - [Code] writes instructions.
//
// The package decides nothing: it does not validate, has no limits, and knows no
// guest. It trusts a count only if enough bytes follow it, so time and memory are
// bounded by the input's length.
package wasmbin
