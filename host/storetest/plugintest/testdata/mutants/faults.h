// The faults: one mutant for each, built with -DMUTANT=name. Those whose names
// begin with file_ are faults of the guest that keeps its records in a file.
//
// The comment says what is wrong; the table in mutants_test.go says which check of
// the suite must find it.
#pragma once

#ifndef MUTANT
#define MUTANT base
#endif
#define FAULT(name) (MUTANT == name)

enum fault {
	base,      // nothing: every mutant is this guest with one fault
	file_base, // nothing, with records in a file
	file_reshards, // nothing: the files are divided anew for another number of shards
	file_refuses,  // nothing: another number of shards is refused, which the guest itself notices

	// Expiry.
	expiry_forgotten,    // records never expire
	expiry_late,         // a record is there for one millisecond too long
	expiry_early,        // a record is gone one millisecond too early
	expiry_seconds,      // times are compared in whole seconds
	expiry_32_bits,      // the lower 32 bits of an expiry are kept
	expiry_kept,         // writing over a record leaves its expiry as it was
	expiry_never_kept,   // writing without expiry over a record leaves its expiry as it was
	expiry_own_clock,    // expiry is compared with the clock of WASI and not with now_ms
	expiry_signed_32,    // times above 2^31 seconds count as passed
	time_refused,        // operations at times above 2^41 answer INTERNAL
	expiry_unsigned,     // times are compared as unsigned numbers, so that those before 1970 lie far ahead
	expiry_negative_never, // an expiry before 1970 counts as none
	expiry_negative_past, // an expiry before 1970 has always passed
	touch_far,           // a touch with an expiry above 2^53 answers INVALID
	save_32_bits,        // save treats what lives for 2^31 milliseconds or more as expired
	sweep_32_bits,       // sweep treats what lives for 2^31 milliseconds or more as expired
	restore_far_never,   // an expiry above 2^53 is restored as none
	get_slides,          // reading a record gives it another minute
	past_write_ignored,  // a write that has expired already leaves what is there
	past_write_kept,     // a write that has expired already is stored without expiry
	past_write_unasked,  // a write that has expired already removes whatever expect says
	past_write_refused,  // a write that has expired already answers INVALID
	now_equal_refused,   // a write that expires at now_ms is kept for one millisecond

	// Revisions and expect.
	create_overwrites,   // create-only overwrites what is there
	create_sees_expired, // create-only answers CONFLICT over an expired record
	replace_unchecked,   // a revision is not compared
	replace_creates,     // replacing what is absent creates it
	replace_not_found,   // replacing what is absent answers NOT_FOUND
	replace_expired,     // an expired record can be replaced by its revision
	replace_older,       // any stored revision up to the expected one is accepted
	revision_32_bits,    // only the lower half of revisions is compared
	revision_high_half,  // only the upper half of revisions is compared
	revision_big_endian, // revisions are read in the other byte order
	revision_sign,       // revisions from 2^63 on are treated as create-only
	revision_over_end,   // the revision of a short value includes what lies after it
	revision_short_none, // a value below eight bytes has no revision: every one conflicts
	conflict_writes,     // CONFLICT, and the value is stored
	conflict_expiry,     // CONFLICT, and the expiry is changed
	conflict_removes,    // CONFLICT, and the record is gone
	conflict_leaks,      // CONFLICT costs memory each time
	conflict_internal,   // INTERNAL instead of CONFLICT
	revision_before_restore, // after a restore the revision that was there before is compared

	// Values.
	value_previous,      // get answers the value before the last one
	value_longer_stays,  // writing a shorter value leaves the length as it was
	value_truncated,     // writing a longer value cuts it to the length that was there
	value_first_stays,   // a value of the same length is not written
	value_empty_absent,  // an empty value is answered as NOT_FOUND
	value_empty_deletes, // setting an empty value deletes
	value_padded,        // values below eight bytes are filled up with zeros
	value_16_bits,       // the length of a value is kept in 16 bits
	value_text,          // a value ends at the first NUL after its revision
	value_not_copied,    // a value is left in the exchange buffer
	value_2048,          // a value of 2048 bytes loses its last one
	value_half_mib,      // a value of 512 KiB loses its last byte

	// Keys.
	key_prefix,          // keys are compared over the shorter length
	key_text,            // keys end at the first NUL
	key_case,            // keys are compared without regard to case
	key_64_bytes,        // only 64 bytes of a key are compared
	key_last_byte,       // the last byte of a key above 64 bytes is not compared
	key_hash_only,       // keys of one length are the same if a 16-bit hash is
	key_ff_traps,        // a key of only 0xff bytes traps
	key_length_signed,   // the key length is read as a signed byte: keys above 127 are INVALID
	key_chain_of_eight,  // of the keys with one place in the index, only the newest eight are found

	// Answers.
	get_too_long,        // a result is one byte too long
	get_one_off,         // a result begins one byte too late
	get_positive,        // NOT_FOUND is answered as a positive number
	get_internal,        // INTERNAL instead of NOT_FOUND
	get_consumes,        // reading a record removes it
	get_hundredth_traps, // every hundredth get traps
	get_leaks,           // every get takes a block and never gives it back

	// The exchange buffer.
	alloc_too_small,     // the old buffer is answered for a larger size
	alloc_refuses,       // there is never a buffer above 64 KiB

	// Delete and clear.
	delete_ignored,      // nothing is removed
	delete_neighbour,    // the record in the next place goes with it
	delete_cuts_chain,   // everything that hashed to the same place after it goes with it
	delete_not_found,    // NOT_FOUND if there is nothing to delete
	delete_empties,      // the record stays, with an empty value
	delete_expiring,     // a record without expiry is not deleted
	delete_leaks,        // a deleted record keeps its memory
	clear_ignored,       // nothing is removed
	clear_leaves_first,  // the first record stays
	clear_leaves_last,   // the last record stays
	clear_ends_writes,   // writes after a clear are answered with success but lost
	clear_leaks,         // cleared records keep their memory
	overwrite_leaks,     // an overwritten value keeps its memory

	// Save.
	save_drops_living,   // what has not expired is dropped
	save_keeps_one,      // all but one record are dropped
	save_internal,       // a second save answers INTERNAL

	// Touch.
	touch_creates,       // an absent record is created
	touch_bumps,         // the revision is incremented
	touch_empties,       // the value is emptied
	touch_revives,       // an expired record is there again
	touch_past_ignored,  // an expiry that has passed changes nothing
	touch_to_never,      // the expiry becomes none, whatever was asked
	touch_never_ignored, // an expiry of never changes nothing
	touch_shortens_not,  // an expiry before the current one changes nothing
	touch_absent_good,   // touching an absent record is a success

	// Sweep.
	sweep_drops_living,  // what has not expired is removed
	sweep_drops_never,   // what never expires is removed
	sweep_counts_seen,   // the answer is how many were looked at
	sweep_counts_none,   // the answer is always 0
	sweep_idle,          // nothing is removed
	sweep_unbounded,     // everything is looked at whatever max says
	sweep_starts_over,   // every call begins at the first record
	sweep_early,         // what expires in the next millisecond is removed
	sweep_leaks,         // a removed record keeps its memory
	sweep_counts_cleared, // records that had expired before a clear are counted by the next sweep
	sweep_lost,          // a sweep that stands behind what a clear has left finds nothing any more
	sweep_get_restarts,  // a get makes the next sweep begin at the first record
	sweep_set_restarts,  // a set makes the next sweep begin at the first record
	sweep_keys_restarts, // an enumeration makes the next sweep begin at the first record

	// Keys and snapshot.
	keys_miss_edge,      // the first key of each chunk but the first is left out
	keys_endless,        // the last chunk is followed by the first
	keys_first_chunk,    // only the first chunk is answered
	keys_expired,        // expired records are listed
	keys_expiring_left,  // records with an expiry are left out
	keys_shift,          // the cursor counts records, so that a delete shifts what follows
	keys_cut,            // keys are cut to 64 bytes
	snapshot_miss_edge,  // the first record of each chunk but the first is left out
	snapshot_expiry,     // records are given without their expiry
	snapshot_expired,    // expired records are given
	snapshot_stale,      // the value before the last one is given
	snapshot_no_empty,   // records with an empty value are left out
	snapshot_no_newer,   // records that were overwritten since it began are left out
	keys_get_slips,      // a get between two chunks makes the next begin a record later
	keys_touch_slips,    // a touch between two chunks makes the next begin a record later
	keys_save_slips,     // a save between two chunks makes the next begin a record later
	keys_sweep_slips,    // a sweep between two chunks makes the next begin a record later
	keys_refusal_slips,  // a CONFLICT between two chunks makes the next begin a record later
	snapshot_get_slips,  // a get between two chunks makes the next begin a record later
	snapshot_touch_slips, // a touch between two chunks makes the next begin a record later
	keys_full_chunk,     // the key after a chunk of exactly 4096 bytes is left out
	snapshot_full_chunk, // the record after a chunk of exactly 4096 bytes is left out
	keys_gap_ends,       // a hundred free places in a row are taken for the end

	// Restore.
	restore_takes_past,  // records that have expired are stored without expiry
	restore_past_drops,  // a record that has expired removes the one that is there
	restore_no_overwrite,// a record that is there stays as it is
	restore_first_only,  // one record of each list is taken
	restore_expiry,      // records are stored without their expiry
	restore_clears,      // what was there before is dropped
	restore_torn,        // a list that is cut off is taken as far as it goes
	restore_partial,     // the records before the end of a list that is cut off are stored, and INVALID answered
	restore_fills,       // the records for which there is room are stored, and NO_SPACE answered
	restore_half_mib,    // values above 512 KiB are left out

	// Limits.
	limit_value_lower,   // values above 64 KiB are TOO_LARGE, and the description says otherwise
	limit_key_lower,     // keys above 128 bytes are TOO_LARGE, and the description says otherwise
	limit_value_cut,     // a value above the limit is cut to it
	limit_key_unchecked, // a key above the limit is taken
	no_space_loses,      // NO_SPACE, and the record that was there is gone
	no_space_traps,      // a trap where there is no room
	no_space_silent,     // success where there is no room, and nothing stored
	growth_corrupts,     // growing the memory clears the end of what was there
	no_space_reserves,   // NO_SPACE, and the key counts as stored for whoever creates it
	no_space_listed,     // NO_SPACE, and the key is enumerated
	no_space_expiry,     // NO_SPACE, and the record that was there has the new expiry

	// Enumerations and messages beside others.
	keys_one_at_a_time,  // the guest, and not the cursor, remembers the place of an enumeration of keys
	snapshot_one_at_a_time, // likewise for a snapshot
	log_keys,            // the key of a deleted record is logged
	log_hex,             // the key of a deleted record is written to standard output, in hexadecimal

	// Room that is counted: these guests refuse what would take more than a quarter
	// of the memory, and each but the first counts wrongly in one place.
	space_base,          // nothing
	space_clear,         // cleared records stay in the count
	space_delete,        // deleted records stay in the count
	space_delete_expired, // a record that is deleted after it expired stays in the count
	space_delete_absent, // deleting an absent record counts as a block
	space_overwrite,     // an overwritten record stays in the count
	space_shrink,        // a record overwritten by a shorter one stays in the count
	space_create_again,  // a record that create-only replaces after it expired stays in the count
	space_past_write,    // a record removed by a write that has expired stays in the count
	space_touch,         // every touch counts as a write
	space_touch_past,    // a record removed by a touch stays in the count
	space_save,          // records that save drops stay in the count
	space_sweep,         // records that sweep drops stay in the count
	space_read_expired,  // a record that a get finds expired is dropped, but stays in the count
	space_conflict,      // a write that is a CONFLICT over a revision is counted
	space_create_refused, // a write that is a CONFLICT of create-only is counted
	space_refused,       // a write refused with NO_SPACE is counted
	space_restore,       // records that a restore overwrites stay in the count
	space_restore_refused, // a list refused with NO_SPACE is counted
	space_too_large,     // a write refused with TOO_LARGE is counted
	space_restore_invalid, // a list refused with INVALID is counted

	// Errors, and what comes after them.
	fail_lingers,        // the message of an error is repeated with the next one
	too_large_then_set,  // the set after a TOO_LARGE is answered but lost
	invalid_then_set,    // the set after an INVALID is answered but lost
	invalid_then_delete, // the delete after an INVALID is answered but ignored

	// Copies.
	copied_traps,        // session_copied traps
	copied_internal,     // session_copied answers INTERNAL
	copied_opened,       // a copy that was told takes itself for open
	copied_gives_buffer, // session_copied frees the exchange buffer

	// Memory that is never given back.
	save_leaks,          // by a save that has nothing to do
	get_expired_leaks,   // by a get of an expired record
	stats_leaks,         // by session_stats
	keys_left_leaks,     // by an enumeration that is abandoned
	restore_past_leaks,  // by a restore of an expired record
	sweep_idle_leaks,    // by a sweep that finds nothing

	// Config.
	describe_changes,    // the largest value described is random
	open_stops_at_empty, // settings after one with an empty value are not read
	open_reads_eight,    // settings after the eighth are not read
	open_internal,       // an unknown setting is answered with INTERNAL
	open_nameless,       // an unknown setting is INVALID, but the message does not name it
	open_refuses_host,   // a later host's setting is INVALID

	// Files.
	file_unread,         // the file is written but never read
	file_last_lost,      // the last write before a save is not saved
	file_keeps_one,      // one record is saved
	file_once,           // only the first save writes
	file_delete_back,    // a delete alone is not seen as a change to save
	file_clear_back,     // a clear alone is not seen as a change to save
	file_touch_back,     // a touch alone is not seen as a change to save
	stats_deleted_stay,  // what is deleted, swept or cleared counts as stored
	stats_counts_writes, // every write counts as one more record
	stats_clear_adds,    // clear counts as one more record
	stats_no_bytes,      // records take no space
	stats_evicts,        // overwriting a record counts as an eviction
	stats_expired_anew,  // the count of expired records starts over whenever it is reported
	stats_half_a_pair,   // the list ends within its last value
	flush_endless,       // a round of flushes never ends
	flush_loses,         // the end of a round loses a record
	file_write_back,     // overwriting a record is not seen as a change to save
	file_appends,        // saves are appended, so that deleted records come back
	file_old_wins,       // saves are appended, and of two versions the older is read
	file_expiry_lost,    // expiry is not saved
	file_expiry_seconds, // expiry is saved in whole seconds
	file_key_text,       // keys are saved up to their first NUL
	file_value_text,     // values are saved up to the first NUL after their revision
	file_value_4k,       // values are saved up to 4 KiB
	file_empty_lost,     // records with an empty value are not saved
	file_shared,         // all shards save to one file
	file_other_shards,   // each shard reads the files of all
	file_empty_refused,  // saving nothing answers NO_SPACE
	file_get_overflows,  // a result is copied over the exchange buffer, however short that is
	file_drops_saved,    // a save empties the memory, which is read again only when opened
	file_reshard_not,    // the guest describes reshard, and each shard reads the file of its number
	file_reshard_some,   // for another number of shards only the first file is divided
	file_reshard_stale,  // files from an earlier use of this number of shards are taken as its own
	file_reshard_copies, // every shard is given the records of all
	file_reshard_expiry, // expiry is lost when files are divided
	file_refuses_mute,   // another number of shards is answered with UNAVAILABLE, without a message
	file_restore_back,   // a restore alone is not seen as a change to save
	file_conflict_clean, // after a CONFLICT there seems to be nothing to save
	file_sweep_clean,    // after a sweep there seems to be nothing to save
	file_first_thousand, // a save writes a thousand records at most
	file_flush_idle,     // a round of flushes ends without writing to the file

	// Lists of operations. The guests whose names have batch_ in them have session_batch.
	batch_base,           // nothing
	file_batch_base,      // nothing, with records in a file
	batch_code_spreads,   // what follows a code has the same
	batch_stops,          // what follows a code is not done, and answered with success
	batch_reads_last,     // the writes of a list are done before its reads
	batch_reads_once,     // a get of a key that the list has got before has the same result
	batch_first_time,     // all is done at the time of the first operation
	batch_expect_ignored, // conditions do not hold
	batch_expiry_lost,    // what a list stores never expires
	batch_past_stored,    // a write whose expiry has passed is stored
	batch_value_cut,      // values are returned up to their 64th byte
	batch_empty_absent,   // a get of an empty value is NOT_FOUND
	batch_not_copied,     // values stay in the list
	batch_hundred,        // what comes after a hundred operations is answered with INTERNAL
	batch_one_refused,    // a list of one operation is INVALID
	batch_one_less,       // the last result is missing
	batch_one_more,       // there is one result too many
	batch_value_of_set,   // the result of a set has the value
	batch_code_positive,  // codes are returned without their sign
	batch_large_empty,    // a value that has no room is returned empty
	batch_touch_ignored,  // a touch is a success and does nothing
	batch_touch_creates,  // a touch of nothing is a success
	batch_delete_absent,  // a delete that finds nothing is NOT_FOUND
	batch_too_large,      // a value above the limit is cut
	batch_left_done,      // every third set is done and left to the host
	batch_delete_ignored, // a delete is a success and does nothing
	batch_stale,          // a list does not see what other calls have written to the record that it read last
	batch_leaks,          // a list takes memory that is never given back
	file_batch_clean,     // the writes of a list are not seen as changes to save
};
