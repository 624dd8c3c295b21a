package plugintest_test

// mutantsOfCorners have their faults in rare places: at the limits, between two
// calls that belong together, after an error, in a count of room.
var mutantsOfCorners = []mutant{
	// Times.
	{"expiry_negative_never", "expiry/negative-times", `get …found: the value…expected: NOT_FOUND`},
	{"expiry_negative_past", "expiry/negative-times", `get …found: NOT_FOUND…expected: the value`},
	{"touch_far", "touch/far", `touch …expires 9007199254740993…found: INVALID…expected: success`},
	{"save_32_bits", "save/far", `get …found: NOT_FOUND…expected: the value`},
	{"sweep_32_bits", "sweep/far", `sweep …records removed…expected: 0, since none has expired`},
	{"restore_far_never", "restore/far", `snapshot …with the expiry never…expected: the expiry 9007199254740993`},

	// Revisions.
	{"revision_before_restore", "expect/after-restore", `expect revision 100…found: success…expected: CONFLICT`},

	// Sizes and keys.
	{"value_2048", "set/every-power-of-two", `get …2047 bytes instead of 2048`},
	{"value_half_mib", "set/every-power-of-two", `get …524287 bytes instead of 524288`},
	{"restore_half_mib", "restore/every-power-of-two", `get …found: NOT_FOUND…expected: the value…524289 bytes`},
	{"key_chain_of_eight", "key/one-hash", `get…found: NOT_FOUND…expected: the value`},

	// Sweeps.
	{"sweep_counts_cleared", "sweep/after-clear", `sweep …found: 14 records removed after a clear…expected: 0, since there are none`},
	{"sweep_lost", "sweep/after-clear", `sweep …found: 0 records removed by sweeps after a clear…expected: 5`},
	{"sweep_get_restarts", "instance/sweep-goes-on", `found: 80 records are stored…with session_get after each…expected: 60`},
	{"sweep_set_restarts", "instance/sweep-goes-on", `found: 80 records are stored…with session_set after each…expected: 60`},
	{"sweep_keys_restarts", "instance/sweep-goes-on", `found: 80 records are stored…with session_keys after each…expected: 60`},

	// Enumerations.
	{"snapshot_no_newer", "snapshot/overwritten-meanwhile", `found: with records overwritten between the chunks: the key…is missing`},
	{"keys_get_slips", "keys/reads-meanwhile", `found: with get between the chunks: the key…is missing`},
	{"keys_touch_slips", "keys/reads-meanwhile", `found: with touch between the chunks: the key…is missing`},
	{"keys_save_slips", "keys/reads-meanwhile", `found: with save between the chunks: the key…is missing`},
	{"keys_sweep_slips", "keys/reads-meanwhile", `found: with sweep between the chunks: the key…is missing`},
	{"keys_refusal_slips", "keys/reads-meanwhile", `found: with a refused write between the chunks: the key…is missing`},
	{"snapshot_get_slips", "snapshot/reads-meanwhile", `found: with get between the chunks: the key…is missing`},
	{"snapshot_touch_slips", "snapshot/reads-meanwhile", `found: with touch between the chunks: the key…is missing`},
	{"keys_full_chunk", "keys/ends-of-chunks", `found: with two keys of 116 bytes around 71 of 124: the key…is missing`},
	{"snapshot_full_chunk", "snapshot/ends-of-chunks", `found: with two keys of 80 bytes around 71 of 88: the key…is missing`},
	{"keys_gap_ends", "keys/gaps", `found: after 128 records in a row were removed: the key…is missing`},

	// Lists for which there is no room.
	{"restore_fills", "export/restore-all-or-nothing", `found: after NO_SPACE for a list of 9 records…success…expected: NOT_FOUND`},
	{"no_space_reserves", "space/refused-is-nowhere", `expect absent…found: CONFLICT…expected: success`},
	{"no_space_listed", "space/refused-is-nowhere", `found: the key "refused…refused with NO_SPACE…expected: only keys that are stored`},
	{"no_space_expiry", "space/refused-is-nowhere", `get …now T+1000 ->…found: the value…expected: NOT_FOUND`},

	// Room that is counted.
	{"space_clear", "space/clear", `NO_SPACE for a record of 16384 bytes, after…stored and removed again (clear)…expected: success`},
	{"space_delete", "space/delete", `NO_SPACE for a record…(delete)…expected: success`},
	{"space_delete_expired", "space/expired-and-deleted", `NO_SPACE for a record…(expired-and-deleted)`},
	{"space_delete_absent", "space/delete-of-nothing", `found: 0 of 24 records of 16384 bytes are there…(delete-of-nothing)…expected: about 24`},
	{"space_overwrite", "space/overwrite", `NO_SPACE for a record…(overwrite)`},
	{"space_shrink", "space/overwrite-with-less", `NO_SPACE for a record…(overwrite-with-less)`},
	{"space_create_again", "space/expired-and-replaced", `NO_SPACE for a record…(expired-and-replaced)`},
	{"space_past_write", "space/write-that-removes", `NO_SPACE for a record…(write-that-removes)`},
	{"space_touch", "space/touch", `NO_SPACE for a record…(touch)`},
	{"space_touch_past", "space/touch-that-removes", `NO_SPACE for a record…(touch-that-removes)`},
	{"space_save", "space/expired-and-saved", `NO_SPACE for a record…(expired-and-saved)`},
	{"space_sweep", "space/expired-and-swept", `NO_SPACE for a record…(expired-and-swept)`},
	{"space_read_expired", "space/expired-and-read", `NO_SPACE for a record…(expired-and-read)`},
	{"space_conflict", "space/replace-refused", `NO_SPACE for a record…(replace-refused)`},
	{"space_create_refused", "space/create-refused", `NO_SPACE for a record…(create-refused)`},
	{"space_refused", "space/refused", `found: NO_SPACE for record 0 after all were cleared, and…refused before…expected: success`},
	{"space_restore", "space/restore", `NO_SPACE for a list of 24 records…(restore)`},
	{"space_restore_refused", "space/restore-refused", `found: NO_SPACE for record 0 after all were cleared, and…refused before…expected: success`},
	{"space_too_large", "export/refused-takes-no-room", `found: 0 of 24 records…after a value that is too large was refused 512 times…expected: about 24`},
	{"space_restore_invalid", "export/refused-takes-no-room", `found: 0 of 24 records…after a list that is cut off was refused…expected: about 24`},

	// What comes after an error.
	{"fail_lingers", "export/messages", `found: for a key that is too large, right after…the message "…expected: the message "", as alone`},
	{"too_large_then_set", "export/after-a-refusal", `found: session_set after a value that is too large was refused…expected: the value as it was stored`},
	{"invalid_then_set", "export/after-a-refusal", `found: session_set after a list that is cut off was refused…expected: the value as it was stored`},
	{"invalid_then_delete", "export/after-a-refusal", `found: session_delete after a list that is cut off was refused…success…expected: NOT_FOUND`},

	// Memory.
	{"save_leaks", "memory/idle", `found: memory grew…alone it does with: save`},
	{"get_expired_leaks", "memory/idle", `found: memory grew…alone it does with: get of an expired record`},
	{"stats_leaks", "memory/idle", `found: memory grew…alone it does with: stats`},
	{"keys_left_leaks", "memory/idle", `found: memory grew…alone it does with: keys, abandoned early`},
	{"restore_past_leaks", "memory/idle", `found: memory grew…alone it does with: restore of an expired record`},
	{"sweep_idle_leaks", "memory/idle", `found: memory grew…alone it does with: sweep`},

	// Config.
	{"describe_changes", "module/describes-the-same", `found: a description with 512 and…expected: keys up to 512…as another instance described`},
	{"open_stops_at_empty", "module/behind-other-settings", `found: with the setting zz_no_such_setting…success…expected: INVALID`},
	{"open_reads_eight", "module/behind-other-settings", `found: with the setting zz_no_such_setting…success…expected: INVALID`},

	// Files.
	{"file_restore_back", "reopen/restored", `get#2…found: the value…before…expected: the value…restored`},
	{"file_conflict_clean", "reopen/after-what-is-no-write", `found: with a refused write before the save…old…expected: the value…new`},
	{"file_sweep_clean", "reopen/after-what-is-no-write", `found: with sweep before the save…old…expected: the value…new`},
	{"file_first_thousand", "reopen/many", `get#2…found: NOT_FOUND…expected: the value`},
	{"file_flush_idle", "export/flush-is-durable", `found: after session_flush had returned 0…no such record…expected: the value`},
}
