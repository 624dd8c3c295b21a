// Package rewrite changes a module before it is compiled, so that a host can bound
// what the module takes. It reads and writes modules with wasmbin. It knows nothing of
// the engine's API, of plugins or of policy: it adds the counters, and the host decides.
//
// # Instances
//
// With [Options.MergeData] and [Options.Entry], an instance takes less time and memory.
// Neither changes what a guest computes or the fuel that it uses.
//
// # State
//
// The state of an instance between two calls is its memory, its mutable globals, the entries
// of its tables, and which of its segments were dropped. A host can read and write a memory and, with
// [Options.Movable], globals that are numbers, but neither tables nor segments. So if a
// module has no instruction that changes those, the state of one instance can be put
// into another: what runs then cannot tell. If it has one, or state of another kind, or
// state that others can change, [Report.Fixed] says so and nothing is added for moving.
//
// # Fuel
//
// Fuel is the work that a guest has done, in units: adding two numbers is one. With
// [Options.Meter], the module counts its fuel down in a global that it exports as
// [FuelExport]. Whenever the counter is negative at a check, the module calls an added
// empty function, [Report.Hook]. A listener of that function sets the counter to 0 or
// more, or ends the call with a panic.
//
// Each instruction belongs to one region: that of the innermost loop around it, or the
// entry of its function if there is none. The instruction loop itself belongs to the
// region around it. Entering a region charges the sum of its weights at once, whether
// or not the instructions run: all of them count, even those that can never run. A
// function's entry is entered by each call of it. A loop is entered from above and by
// each branch to it. The weights are these:
//
//   - Each instruction has the weight that [Weight] gives.
//   - call and call_indirect weigh one more for each parameter and each result of the
//     type.
//   - The call of an imported function weighs [ImportWeight] more. So does every
//     call_indirect, if an imported function is in an element segment or is named by
//     a ref.func.
//   - The call of a leaf weighs in addition what the entry of the leaf weighs.
//   - block, loop and if weigh one more for each parameter and result of their type.
//   - br, br_if and br_table weigh one more for each value that the label takes, of a
//     table the last label. return weighs one more for each result of the function.
//   - The entry of a function weighs one more for every [LocalsPerUnit] locals that it
//     declares, rounded down. Parameters do not count here.
//
// A leaf has no charge of its own. A function is a leaf if
//
//   - it is not imported or exported, is not the start function, is in no element
//     segment, and no ref.func in the module names it;
//   - it has no loop, no call_indirect and no instruction that is charged by length, and
//     it calls leaves only;
//   - its entry weighs at most [LeafWeight], the leaves that it calls included.
//
// Some instructions are charged by length besides, just before they run. An operand is
// an unsigned number, and a charge is rounded down:
//
//   - memory.copy, memory.fill and memory.init: one for every [BytesPerUnit] bytes;
//   - table.copy and table.init: one for each entry;
//   - memory.grow: [UnitsPerPage] for each page, or nothing for more than 65536 pages,
//     since that never succeeds.
//
// A memory.copy or memory.fill of more than a mebibyte is charged and done in pieces, by
// added functions, so that the hook has its turn in between.
//
// Fuel is therefore a function of the module and its input. It is the same on every
// machine and in every engine. The hook may be called a little after the counter has
// become negative: functions that do not check at their entry may charge some 65,000
// units for each function that calls them, up to the next check. In addition comes the
// weight of the region that is entered. When calls return, it is checked where they give
// back the stack that they counted, so that only the few between two such places add up.
//
// # Depth
//
// The stack of a guest is memory of the host. A metered module counts it down, in bytes,
// in a second global, which it exports as [DepthExport]. Counting every call would be
// slow. So only places through which every circle of calls passes count: each
// call_indirect, and the fewest functions that can be found. Each takes what the calls
// up to the next such place may need at most, and gives it back when it is left. If
// the counter becomes negative, the module calls the hook, whose listener raises it to 0 or
// more, or ends the call with a panic. A host that gives less than [DepthLimit] at first
// thus learns which calls went deep.
//
// What a frame takes is estimated from above, by the values in the function that may
// have a place on the stack. Of what toolchains make it is mostly five to ten times too
// much, so that [DepthLimit] is a bound, and not what a guest really takes. Functions
// between two places that count are not counted when the host calls them: up to
// [Report.Chain] comes in addition.
package rewrite
