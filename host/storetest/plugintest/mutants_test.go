package plugintest_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/storetest"
	"github.com/waddle-sessions/waddle/host/storetest/plugintest"
)

// mutant is a guest with one fault, which testdata/mutants/faults.h explains.
type mutant struct {
	name string
	// checks are the checks that must fail, separated by spaces.
	checks string
	// says is what the failure of the first of them must mention: its last call,
	// what was found and what was expected, with "…" between the parts.
	says string
}

var mutants = []mutant{
	// Expiry.
	{"expiry_forgotten", "expiry/exact-millisecond", `get …now T+1 ->…found: the value…expected: NOT_FOUND`},
	{"expiry_late", "expiry/exact-millisecond", `get …now T+1 ->…found: the value…expected: NOT_FOUND`},
	{"expiry_early", "expiry/exact-millisecond", `get …found: NOT_FOUND…expected: the value`},
	{"expiry_seconds", "expiry/exact-millisecond", `get …found: the value…expected: NOT_FOUND`},
	{"expiry_32_bits", "expiry/large-times", `get …found: NOT_FOUND…expected: the value`},
	{"expiry_kept", "expiry/set-replaces-it", `get …now T+199 ->…found: NOT_FOUND…the second`},
	{"expiry_never_kept", "expiry/set-replaces-it", `get …found: NOT_FOUND…the second`},
	{"expiry_own_clock", "expiry/given-clock", `get …found: NOT_FOUND…expected: the value`},
	{"expiry_signed_32", "expiry/large-times", `get …found: NOT_FOUND…expected: the value`},
	{"time_refused", "expiry/large-times", `found: INTERNAL…expected: the value`},
	{"get_slides", "expiry/exact-millisecond", `get …found: the value…expected: NOT_FOUND`},
	{"past_write_ignored", "expiry/write-removes", `get …now T+10 ->…found: the value…first…expected: NOT_FOUND`},
	{"past_write_kept", "expiry/write-removes expiry/write-creates-nothing", `get …found: the value…the second…expected: NOT_FOUND`},
	{"past_write_unasked", "expiry/write-removes-on-condition", `expect revision…found: success…expected: CONFLICT`},
	{"past_write_refused", "expiry/write-removes", `set …found: INVALID…expected: success`},
	{"now_equal_refused", "expiry/write-removes", `get …now T+10 ->…found: the value…the second…expected: NOT_FOUND`},

	// Revisions and expect.
	{"create_overwrites", "expect/create-only", `expect absent…found: success…expected: CONFLICT`},
	{"create_sees_expired", "expiry/absent-for-create", `expect absent…found: CONFLICT…expected: success`},
	{"replace_unchecked", "expect/other-revision", `expect revision…found: success…expected: CONFLICT`},
	{"replace_creates", "expect/revision-of-nothing", `expect revision…found: success…expected: CONFLICT`},
	{"replace_not_found", "expect/revision-of-nothing", `expect revision…found: NOT_FOUND…expected: CONFLICT`},
	{"replace_expired", "expiry/absent-for-revision", `expect revision 5…found: success…expected: CONFLICT`},
	{"replace_older", "expect/other-revision", `expect revision 6…found: success…expected: CONFLICT`},
	{"revision_32_bits", "expect/every-byte", `expect revision…found: success…expected: CONFLICT`},
	{"revision_high_half", "expect/every-byte", `expect revision…found: success…expected: CONFLICT`},
	{"revision_big_endian", "expect/replace", `expect revision 5…found: CONFLICT…expected: success`},
	{"revision_sign", "expect/high-revisions", `expect revision 9223372036854775808…found: CONFLICT…expected: success`},
	{"revision_over_end", "expect/short-values", `expect revision…found: CONFLICT…expected: success`},
	{"revision_short_none", "expect/short-values", `expect revision…found: CONFLICT…expected: success`},
	{"conflict_writes", "expect/conflict-keeps-the-value", `get …found: …instead of…expected: the value`},
	{"conflict_expiry", "expect/conflict-keeps-the-expiry", `get …found: the value…expected: NOT_FOUND`},
	{"conflict_removes", "expect/conflict-keeps-the-value", `get …found: NOT_FOUND…expected: the value`},
	{"conflict_leaks", "memory/set-conflict", `found: memory grew…refused with CONFLICT`},
	{"conflict_internal", "expect/create-only", `expect absent…found: INTERNAL…expected: CONFLICT`},

	// Values.
	{"value_previous", "set/overwrite-same set/overwrite-shorter", `get …found: the value "\x03…differs from byte 0…expected: the value "\x04`},
	{"value_longer_stays", "set/overwrite-shorter", `get …21 bytes instead of 20`},
	{"value_truncated", "set/overwrite-longer", `get …20 bytes instead of 21`},
	{"value_first_stays", "set/overwrite-same", `get …found: the value "\x03…expected: the value "\x04`},
	{"value_empty_absent", "set/empty-value", `get …found: NOT_FOUND…expected: the value ""`},
	{"value_empty_deletes", "set/empty-value", `get …found: NOT_FOUND…expected: the value ""`},
	{"value_padded", "set/short-values", `get …8 bytes instead of 0`},
	{"value_16_bits", "set/sizes", `get …0 bytes instead of 65536`},
	{"value_text", "get/what-was-set", `get …8 bytes instead of 264`},
	{"value_not_copied", "get/again", `get …key "a"…found: the value "\x02…expected: the value "\x01`},

	// Keys.
	{"key_prefix", "key/prefixes", `get …found: the value…expected: NOT_FOUND`},
	{"key_text", "key/nul", `get …found: the value…expected: NOT_FOUND`},
	{"key_case", "key/case", `get …found: the value…expected: NOT_FOUND`},
	{"key_64_bytes", "key/long", `get …found: the value…expected: NOT_FOUND`},
	{"key_last_byte", "key/long", `get …found: the value…expected: NOT_FOUND`},
	{"key_hash_only", "key/many", `get …found: the value…expected: NOT_FOUND`},
	{"key_ff_traps", "key/high-bytes", `get …\xff\xff…found: UNAVAILABLE…the guest trapped…expected: NOT_FOUND`},
	{"key_length_signed", "key/lengths", `get …found: INVALID…expected: NOT_FOUND`},

	// Answers.
	{"get_too_long", "get/what-was-set", `get …12 bytes instead of 11`},
	{"get_one_off", "get/what-was-set", `get …differs from byte 0`},
	{"get_positive", "get/not-found", `get …found: the value…expected: NOT_FOUND`},
	{"get_internal", "get/not-found", `get …found: INTERNAL…expected: NOT_FOUND`},
	{"get_consumes", "get/again", `get …found: NOT_FOUND…expected: the value`},
	{"get_hundredth_traps", "get/again", `get …the guest trapped…expected: the value`},
	{"get_leaks", "memory/get", `found: memory grew…get of records`},

	// The exchange buffer.
	{"alloc_too_small", "set/sizes", `set …found: UNAVAILABLE…the guest trapped…expected: success`},
	{"alloc_refuses", "limits/largest-value", `set …found: NO_SPACE…no room for a buffer…expected: success`},

	// Delete and clear.
	{"delete_ignored", "delete/removes", `get …found: the value…expected: NOT_FOUND`},
	{"delete_neighbour", "delete/neighbours", `get …found: NOT_FOUND…expected: the value`},
	{"delete_cuts_chain", "key/many", `get …found: NOT_FOUND…expected: the value`},
	{"delete_not_found", "export/delete-of-nothing", `found: session_delete…no such record…expected: success`},
	{"delete_empties", "delete/removes", `get …found: the value "" …expected: NOT_FOUND`},
	{"delete_expiring", "delete/removes", `get …found: the value…expected: NOT_FOUND`},
	{"delete_leaks", "memory/delete", `found: memory grew…set and delete`},
	{"clear_ignored", "clear/everything", `get …key "key 0"…found: the value…expected: NOT_FOUND`},
	{"clear_leaves_first", "clear/everything", `get …key "key 0"…found: the value…expected: NOT_FOUND`},
	{"clear_leaves_last", "clear/everything", `get …found: the value…expected: NOT_FOUND`},
	{"clear_ends_writes", "clear/usable-after", `get …found: NOT_FOUND…expected: the value`},
	{"clear_leaks", "memory/clear", `found: memory grew…set, and clear`},
	{"overwrite_leaks", "memory/set-same-size", `found: memory grew…set over a value`},

	// Save.
	{"save_drops_living", "save/keeps", `get …found: NOT_FOUND…expected: the value`},
	{"save_keeps_one", "save/keeps", `get …found: NOT_FOUND…expected: the value`},
	{"save_internal", "save/between", `save …found: INTERNAL…expected: success`},

	// Touch.
	{"touch_creates", "touch/never-creates", `touch …found: success…expected: NOT_FOUND`},
	{"touch_bumps", "touch/keeps-the-value", `get …differs from byte 0`},
	{"touch_empties", "touch/keeps-the-value", `get …found: the value "" (0 bytes)…instead of`},
	{"touch_revives", "expiry/absent-for-touch", `touch …found: success…expected: NOT_FOUND`},
	{"touch_past_ignored", "touch/past-removes", `get …found: the value…expected: NOT_FOUND`},
	{"touch_to_never", "touch/extends", `get …found: the value…expected: NOT_FOUND`},
	{"touch_never_ignored", "touch/to-never-and-from", `get …found: NOT_FOUND…expected: the value`},
	{"touch_shortens_not", "touch/shortens", `get …found: the value…expected: NOT_FOUND`},
	{"touch_absent_good", "touch/never-creates", `touch …found: success…expected: NOT_FOUND`},

	// Sweep.
	{"sweep_drops_living", "sweep/removes-the-expired-only", `get …found: NOT_FOUND…expected: the value`},
	{"sweep_drops_never", "sweep/removes-the-expired-only", `get …found: NOT_FOUND…expected: the value`},
	{"sweep_counts_seen", "sweep/counts", `sweep …records removed…expected: 100, as many as had expired`},
	{"sweep_counts_none", "sweep/counts", `sweep …found: 0 records removed…expected: all 100`},
	{"sweep_idle", "sweep/counts", `sweep …found: 0 records removed…expected: all 100`},
	{"sweep_unbounded", "sweep/small-steps", `sweep …found: 16 records removed…expected: all 500`},
	{"sweep_starts_over", "sweep/small-steps", `sweep …found: 8 records removed…expected: all 500`},
	{"sweep_early", "sweep/between-writes", `get …found: NOT_FOUND…expected: the value`},
	{"sweep_leaks", "memory/expire-and-sweep", `found: memory grew…expire, and sweep`},

	// Keys and snapshot.
	{"keys_miss_edge", "keys/many", `keys …found: the key…is missing`},
	{"keys_endless", "keys/all", `keys …enumeration does not end…expected: success`},
	{"keys_first_chunk", "keys/many", `keys …found: the key…is missing`},
	{"keys_expired", "expiry/absent-in-keys", `keys …found: the key…which is not stored`},
	{"keys_expiring_left", "keys/after-removal", `keys …found: the key…is missing`},
	{"keys_shift", "keys/others-removed keys/removed-as-seen", `keys …found: the key…is missing…stored throughout`},
	{"keys_cut", "key/lengths", `keys …found: the key…is missing`},
	{"snapshot_miss_edge", "snapshot/all snapshot/changes-meanwhile", `snapshot …found: the record…is missing`},
	{"snapshot_expiry", "snapshot/all", `snapshot …found: the record…with the expiry never…expected: the expiry T+1`},
	{"snapshot_expired", "expiry/absent-in-snapshot", `snapshot …found: the record…which is not stored`},
	{"snapshot_stale", "snapshot/newest", `snapshot …found: the record…with the value…differs from byte 0`},
	{"snapshot_no_empty", "snapshot/all", `snapshot …found: the record "size 0"…is missing`},

	// Restore.
	{"restore_takes_past", "restore/leaves-out-the-expired", `get …found: …gone…expected: the value…kept`},
	{"restore_past_drops", "restore/leaves-out-the-expired", `get …found: NOT_FOUND…expected: the value…kept`},
	{"restore_no_overwrite", "restore/over-what-is-there", `get …expected: the value…newer`},
	{"restore_first_only", "restore/into-an-empty-store", `get …found: NOT_FOUND…expected: the value`},
	{"restore_expiry", "restore/into-an-empty-store", `get …found: the value…expected: NOT_FOUND`},
	{"restore_clears", "restore/over-what-is-there", `get …found: NOT_FOUND…expected: the value…kept`},
	{"restore_torn", "export/restore-of-what-is-no-list", `found: session_restore…success…expected: INVALID`},
	{"restore_partial", "export/restore-of-what-is-no-list", `found: after INVALID…success…expected: that nothing of it is stored`},

	// Saving in steps.
	{"flush_endless", "export/flush-ends", `found: 201 writes are left…expected: that the round ends`},
	{"flush_loses", "export/flush-ends", `found: session_get after it was flushed: store: no such record…expected: the value`},

	// Counts.
	{"stats_deleted_stay", "instance/stats", `found: records after 20 of 50 were deleted: 50…expected: 30`},
	{"stats_counts_writes", "instance/stats", `found: records after 10 of 50 were written anew: 60…expected: 50`},
	{"stats_clear_adds", "instance/stats", `found: records after session_clear: 1…expected: 0`},
	{"stats_no_bytes", "instance/stats", `found: bytes after 50 records: 0…expected: the space`},
	{"stats_evicts", "instance/stats", `found: evicted after 10 of 50 were written anew: 10…expected: none`},
	{"stats_expired_anew", "instance/stats", `found: expired after session_clear: 0…expected: at least 15`},
	{"stats_half_a_pair", "instance/stats", `found: after session_open…expected: a list of pairs`},

	// Limits.
	{"limit_value_lower", "limits/largest-value", `set …found: TOO_LARGE…expected: success`},
	{"limit_key_lower", "limits/largest-key", `set …found: TOO_LARGE…expected: success`},
	{"limit_value_cut", "export/limits-of-its-own", `found: session_set with a value of 1048577 bytes…expected: TOO_LARGE`},
	{"limit_key_unchecked", "export/limits-of-its-own", `found: session_set with a key of 513 bytes…expected: TOO_LARGE`},
	{"no_space_loses", "growth/full", `get …found: NOT_FOUND…expected: the value`},
	{"no_space_traps", "growth/full", `set …the guest trapped…expected: success`},
	{"no_space_silent", "growth/full", `get …16383 bytes instead of 24576`},
	{"growth_corrupts", "growth/many-records", `get …which differs from byte`},

	// Copies.
	{"copied_traps", "instance/copied", `found: told that it is a copy…unreachable…expected: a plugin that opens`},
	{"copied_internal", "instance/copied", `found: told that it is a copy…INTERNAL…expected: a plugin that opens`},
	{"copied_opened", "instance/copied", `found: told that it is a copy…the guest is open…expected: a plugin that opens`},
	{"copied_gives_buffer", "instance/copied", `found: session_…in a copy…expected: `},

	// Config.
	{"open_internal", "module/unknown-setting", `found: …it answered INTERNAL…expected: INVALID`},
	{"open_nameless", "module/unknown-setting", `found: INVALID…expected: a message that names`},
	{"open_refuses_host", "module/host-setting", `found: …host_later…it answered INVALID…expected: a plugin that opens`},

	// Files.
	{"file_unread", "reopen/one-record", `get#2…found: NOT_FOUND…expected: the value`},
	{"file_last_lost", "reopen/one-record", `get#2…found: NOT_FOUND…expected: the value`},
	{"file_keeps_one", "reopen/after-save", `get#2…found: NOT_FOUND…expected: the value`},
	{"file_once", "reopen/changes reopen/one-change", `get#2…found: the value…instead of…expected: the value`},
	{"file_delete_back", "reopen/one-change", `get…found: the value…old…expected: NOT_FOUND`},
	{"file_clear_back", "reopen/one-change", `get…found: the value…old…expected: NOT_FOUND`},
	{"file_touch_back", "reopen/one-change", `get…T+499…found: NOT_FOUND…expected: the value…old`},
	{"file_write_back", "reopen/one-change", `get…found: NOT_FOUND…expected: the value…new`},
	{"file_appends", "reopen/one-change reopen/clear", `get…found: the value…old…expected: NOT_FOUND`},
	{"file_old_wins", "reopen/revisions", `get#3…differs from byte 0…expected: the value "\x06`},
	{"file_expiry_lost", "reopen/one-record reopen/expired", `get#2…now T+100 ->…found: the value…expected: NOT_FOUND`},
	{"file_expiry_seconds", "reopen/one-record", `get#2…now T+99 ->…found: NOT_FOUND…expected: the value`},
	{"file_key_text", "reopen/after-save", `get#2…\x00…found: NOT_FOUND…expected: the value`},
	{"file_value_text", "reopen/after-save", `get#2…instead of`},
	{"file_value_4k", "reopen/long-value", `get#2…4096 bytes instead of 1048576`},
	{"file_empty_lost", "reopen/after-save", `get#2…key "size 0"…found: NOT_FOUND…expected: the value ""`},
	// Shards are saved side by side: one may find that the file it made is gone.
	{"file_shared", "reopen/after-save", `found: …expected: `},
	{"file_other_shards", "reopen/changes-after-reopening", `get…found: the value…expected: `},
	{"file_empty_refused", "reopen/save-of-nothing", `found: NO_SPACE…save in shard…expected: success`},
	// The copy lands on the list of free blocks; saving fails because of that.
	{"file_get_overflows", "reopen/long-value", `close#2…found: UNAVAILABLE…save in shard…expected: success`},
	{"expiry_unsigned", "expiry/negative-times", `found: NOT_FOUND…expected: the value`},
	{"keys_one_at_a_time", "keys/two-at-once", `found: …expected: `},
	{"snapshot_one_at_a_time", "snapshot/two-at-once", `found: …expected: `},
	{"log_keys", "instance/log-keys", `found: the line "a-key-that-nobody-may-read…expected: lines without keys`},
	{"log_hex", "instance/log-keys", `found: the line…in hexadecimal…expected: lines without keys`},
	{"file_reshard_not", "shard/other-number", `get…found: NOT_FOUND…expected: the value`},
	{"file_reshard_some", "shard/other-number", `get…found: NOT_FOUND…expected: the value`},
	{"file_reshard_stale", "shard/other-number", `get…found: …expected: `},
	{"file_reshard_copies", "shard/other-number", `get…found: the value…expected: NOT_FOUND`},
	{"file_reshard_expiry", "shard/other-number", `found: the record…with the expiry never…expected: the expiry`},
	{"file_refuses_mute", "shard/other-number", `open#…found: …UNAVAILABLE…expected: the records, or INVALID with a message`},
	{"file_drops_saved", "save/keeps", `get…found: NOT_FOUND…expected: the value`},
}

func allMutants() []mutant { return slices.Concat(mutants, mutantsOfCorners, mutantsOfBatches) }

// TestMutants tests the suite itself: it must fail every guest with a fault,
// because of that fault. Each is checked by the checks that must find the fault.
// One in forty is also checked by the whole suite, or all with
// WADDLE_CONFORMANCE=full, which takes eight seconds of a processor for each.
func TestMutants(t *testing.T) {
	full := os.Getenv("WADDLE_CONFORMANCE") == "full"
	for i, m := range allMutants() {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			checks := strings.Fields(m.checks)
			o := storetest.Options{Dir: t.TempDir(), Seed: 1, Soak: 2000, Only: checks}
			if full || i%40 == 0 && !testing.Short() && !raceEnabled {
				o.Only = nil
			}
			report := check(t, m.name, o)
			for i, name := range checks {
				result := report.Result(name)
				require.NotNil(t, result, "the suite has no check %s", name)
				require.Equal(t, storetest.Fail, result.Status, "%s passed, although the guest has a fault\n%s", name, result.Reason)
				if i == 0 {
					requireSays(t, result.Failure, m.says)
				}
			}
		})
	}
}

// TestSuiteByLists: the suite, with every operation on a record in a list for session_batch.
func TestSuiteByLists(t *testing.T) {
	for _, name := range []string{"batch_base", "file_batch_base"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wasm, err := os.ReadFile(filepath.Join("testdata", "mutants", "wasm", name+".wasm"))
			require.NoError(t, err)
			o := plugintest.Options{Batches: true}
			o.Dir, o.Soak, o.Sequences = t.TempDir(), 2000, 20
			report := plugintest.Check(t.Context(), wasm, o)
			var text strings.Builder
			require.NoError(t, report.WriteText(&text))
			require.Zero(t, report.Failed, text.String())
			require.Greater(t, report.Passed, 100)
		})
	}
	// A guest that does not have it, and faults that single calls do not show.
	base, err := os.ReadFile(filepath.Join("testdata", "mutants", "wasm", "base.wasm"))
	require.NoError(t, err)
	o := plugintest.Options{Batches: true}
	o.Dir = t.TempDir()
	require.Contains(t, plugintest.Check(t.Context(), base, o).Misuse, "session_batch")
	for name, fails := range map[string]string{"batch_expiry_lost": "expiry/exact-millisecond", "batch_expect_ignored": "expect/create-only",
		"batch_empty_absent": "set/empty-value", "batch_delete_ignored": "delete/removes", "batch_touch_ignored": "touch/extends"} {
		wasm, err := os.ReadFile(filepath.Join("testdata", "mutants", "wasm", name+".wasm"))
		require.NoError(t, err)
		for _, batches := range []bool{false, true} {
			o := plugintest.Options{Batches: batches}
			o.Dir, o.Seed, o.Only = t.TempDir(), 1, []string{fails}
			want := storetest.Pass
			if batches {
				want = storetest.Fail
			}
			require.Equal(t, want, plugintest.Check(t.Context(), wasm, o).Result(fails).Status, "%s by lists=%v", name, batches)
		}
	}
}

func check(t *testing.T, name string, o storetest.Options) *storetest.Report {
	t.Helper()
	wasm, err := os.ReadFile(filepath.Join("testdata", "mutants", "wasm", name+".wasm"))
	require.NoError(t, err)
	return plugintest.Check(t.Context(), wasm, plugintest.Options{Options: o})
}

// requireSays looks for parts of a text, one after the other, in the last call of
// a failure, what it found and what it expected.
func requireSays(t *testing.T, f *storetest.Failure, parts string) {
	t.Helper()
	text := "found: " + f.Found + "\nexpected: " + f.Expected
	if n := len(f.Calls); n > 0 {
		text = f.Calls[n-1].String() + "\n" + text
	}
	rest := text
	for part := range strings.SplitSeq(parts, "…") {
		_, after, found := strings.Cut(rest, part)
		require.True(t, found, "%q of %q is not in:\n%s", part, parts, text)
		rest = after
	}
}

// TestGuestsWithoutFault: the checks find nothing in guests without a fault.
func TestGuestsWithoutFault(t *testing.T) {
	const (
		// The checks that need files,
		files = "reopen shard/other export/flush-is-durable remote/ shared/"
		// and those that are only for guests that keep none: a host writes
		// snapshots for them, and their memory can be full.
		memory = "instance/snapshot-file export/restore-all-or-nothing space/refused space/restore-refused remote/ shared/"
		// The checks of session_batch.
		batches = " batch/"
		batch   = " batch/saved"
	)
	for name, left := range map[string]string{
		"base": files + batches, "file_base": memory + batches, "file_reshards": memory + batches, "file_refuses": memory + batches,
		"space_base": files + batches, "batch_base": files + batch, "file_batch_base": memory,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := storetest.Options{Dir: t.TempDir()}
			if testing.Short() || raceEnabled {
				o.Soak, o.Sequences = 2000, 20
			}
			report := check(t, name, o)
			var text strings.Builder
			require.NoError(t, report.WriteText(&text))
			require.Zero(t, report.Failed, text.String())
			for _, r := range report.Results {
				if !slices.ContainsFunc(strings.Fields(left), func(l string) bool { return strings.HasPrefix(r.Name, l) }) {
					require.NotEqual(t, storetest.Skip, r.Status, "%s: %s", r.Name, r.Reason)
				}
			}
		})
	}
}

// TestMutantsAreListed: every fault is built and in the table, and nothing else
// is.
func TestMutantsAreListed(t *testing.T) {
	faults := listed(t, "faults.h", "enum fault {")
	guests := []string{"base", "file_base", "file_reshards", "file_refuses", "space_base", "batch_base", "file_batch_base"}
	tested := slices.Clone(guests)
	for _, m := range allMutants() {
		tested = append(tested, m.name)
	}
	files, err := filepath.Glob("testdata/mutants/wasm/*.wasm")
	require.NoError(t, err)
	var built []string
	for _, f := range files {
		built = append(built, strings.TrimSuffix(filepath.Base(f), ".wasm"))
	}
	require.ElementsMatch(t, faults, tested, "faults.h and the table in this file")
	require.ElementsMatch(t, append(listed(t, "designs.h", "enum design {"), faults...), built, "faults.h, designs.h and what build.sh built of them")
	require.GreaterOrEqual(t, len(faults)-len(guests), 40)

	// Two guests with the same bytes are the same guest: then one fault is
	// missing from the source.
	seen := make(map[string]string)
	for _, f := range files {
		wasm, err := os.ReadFile(f)
		require.NoError(t, err)
		require.Empty(t, seen[string(wasm)], "%s is the same guest", f)
		seen[string(wasm)] = f
	}
}
