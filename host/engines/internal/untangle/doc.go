// Package untangle makes modules faster that Go's compiler has written. It changes
// nothing about what they do.
//
// A goroutine may be switched in the middle of a call, so each function of Go must be
// able to begin again behind any call in it. WebAssembly has no jumps. Go therefore
// writes a function as a loop around a table of its parts, and every jump goes through
// the table, even in a call that is never interrupted, as all calls of a storage engine
// are. An engine that compiles such code keeps no value in a register across a jump, and
// checks the bounds of memory again after each.
//
//   - A function that is never resumed in the middle, or one whose name [Options.Fast]
//     picks, gets the blocks and loops that its jumps stand for. A call that resumes a
//     function in the middle goes on in a copy of the old form.
//   - In the others, jumps forward go to their target directly.
//   - Short sequences become shorter: addresses on the stack, comparisons, masks.
//
// A function of another form than Go 1.26 writes stays as it is.
package untangle
