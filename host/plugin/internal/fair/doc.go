// Package fair decides whose guest runs next when more calls want to run than may.
//
// A [Dispatcher] has a number of turns, and a call holds one while it runs. As long as
// turns are free a call takes one at once. If none is, the call waits, and the next turn
// goes to the plugin (a [Flow]) that has used the least fuel, not to the call that came
// first. This is start-time fair queueing (Goyal, Vin and Cheng, "Start-time Fair Queuing",
// SIGCOMM 1996) over several servers (Jin, Chase and Kaur, "Interposed Proportional
// Sharing for a Storage Service Utility", SIGMETRICS 2004): each flow has a tag, the
// virtual time of its next call, which grows by the fuel that it uses.
// The virtual time of the dispatcher is the tag of the call that was let in last. A flow
// that comes back from idleness begins there: it has saved up nothing, and owes nothing.
//
// A call that has run for [Short] is long. Long calls hold all turns but one, so that a
// short call never waits for one of them to end, and they take turns of a [Quantum] among
// themselves. A dispatcher with a single turn takes it away from a long call as soon as
// the call's slice is used up.
//
// Where no processor would be left for those who serve, because there is only one or other
// work keeps one busy, a long call rests now and then and keeps its place meanwhile: the network
// is looked at only where a processor has nothing to do.
//
// While no call runs for longer than [Noticed], calls take no turns: the order of calls that
// take no longer than the rest of a request matters little, and even an atomic operation on a
// word that all cores share would cost each call more than it is worth. The first call that
// is noticed engages the dispatcher, for as long as calls wait or are noticed.
//
// The package knows neither guests nor meters, and has no goroutine of its own.
package fair
