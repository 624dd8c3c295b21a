// The designs: guests that do everything abi/SPEC.md says, in their own way. Each
// is built with -DDESIGN=name and must pass the whole suite. Those whose names
// begin with file_ keep their records in a file.
//
// Where the page leaves a choice, one of these makes the unusual one; the comment
// gives the section and the choice.
#pragma once

enum design {
	removes_on_read,      // 5: an expired record goes when it is read
	file_removes_on_read, // 5: and is then missing from the file, even if the clock goes back
	purges_always,        // 5: every call removes everything that has expired
	file_purges_always,   // 5: and saves that
	evicts_at_200,        // 11: the least recently used record makes room
	evicts_half,          // 11: at 100 records, half of them go
	evicts_at_16,         // 11: hardly more than one session for each of a dozen users
	refuses_at_200,       // 4: NO_SPACE for the record that would be the 201st
	file_refuses_at_40,   // 4: NO_SPACE for the 41st, with files
	divides_24,           // 11: 24 records, of which each instance has its share
	tiny,                 // 11: keys to 64 bytes and values to 4 KiB, in a fixed buffer of 8 KiB
	odd_limits,           // 11: keys to 100 bytes, values to 5000; 8: the bytes of stats are whole pages
	slow,                 // 2: a call takes its time, and restore some milliseconds for each record
	file_slow,            // 7: save takes a millisecond or so for each record
	bare,                 // 8: no optional export at all
	no_touch,             // 8: neither touch nor describe nor sweep
	no_cas,               // 6: expect is ignored, which the description does not hide
	unsupported,          // 8: what is optional is exported, and answers UNSUPPORTED
	file_unsupported,     // 8: the same with files
	ascending,            // 3: every result and every exchange buffer lies after the last, up to an end
	overlapping,          // 3: results lie in the exchange buffer if they fit
	last_used_first,      // 8: keys and records are enumerated in the order of their last use
	random_order,         // 8: keys and records are enumerated in no order at all
	names_twice,          // 8: every key and record is enumerated twice
	grows_slowly,         // 11: memory grows by a page from time to time, to half of what is allowed
	sweeps_singly,        // 8: a sweep removes one record, whatever max says
	flushes_at_once,      // 8: the first call of a round saves everything
	logs_every_call,      // 10: with a line for every call
};
