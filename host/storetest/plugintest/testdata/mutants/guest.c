// A storage plugin that does what abi/SPEC.md says, including all optional
// operations, except for one fault: see faults.h. It keeps its records in
// memory or, built with -DFILES, also in a file.
#include "table.h"

#ifndef MAX_KEY // as the description says, unless a design differs
#define MAX_KEY 512
#define MAX_VALUE (1 << 20)
#endif
enum { CHUNK = 4096 };

static int dirty;   // something changed since the last save
static int cleared; // ever
static u32 swept_to; // where the last sweep ended

// The last calls, for faults.
static int copied;
static i64 today;
static int creating, refused;
static u32 reserved[64], refusals, uncounted;
static const char *said;
static char *shard = "0", *shards = "1";

static u8 *exchange;
static u32 exchange_size;

static u8 *chunk; // what keys and snapshot answer
static u32 chunk_size;

static i64 refuse(const char *why, const char *name);

#include "chunks.h"
#include "reshard.h"
#ifdef FILES
#include "files.h"
#endif

// now_ms of an operation.
static i64 clock(i64 now) {
	if (FAULT(expiry_own_clock)) {
		IMPORT("wasi_snapshot_preview1", clock_time_get) int clock_time_get(u32 id, i64 precision, i64 *now);
		i64 ns = 0;
		clock_time_get(0, 1, &ns);
		return ns / 1000000;
	}
	return now;
}

void EXPORT(session_abi_v1)(void) {}

u8 *EXPORT(session_alloc)(u32 size) {
	if (FAULT(alloc_too_small) && exchange) return exchange;
	if (FAULT(alloc_refuses) && size > 65536) return 0;
	if (!FAULT(value_not_copied)) give(exchange, exchange_size);
	exchange_size = size;
	return exchange = take(size);
}

i64 EXPORT(session_describe)(void) {
	if (FAULT(describe_changes)) {
		IMPORT("wasi_snapshot_preview1", random_get) int random_get(void *to, u32 len);
		static char chance[] = "name\0mutant\0version\0001\0capabilities\0cas\0max_key\000512\0max_value\0001000000";
		u8 bytes[4];
		random_get(bytes, 4);
		for (u32 i = 0; i < 4; i++) chance[sizeof chance - 2 - i] = (char)('0' + bytes[i] % 10);
		return region(chance, sizeof chance);
	}
	static const char honest[] = "name\0mutant\0version\0001\0capabilities\0cas\0max_key\000512\0max_value\0001048576";
	static const char any_shards[] = "name\0mutant\0version\0001\0capabilities\0cas reshard\0max_key\000512\0max_value\0001048576";
	if (ANY_SHARDS) return region(any_shards, sizeof any_shards);
	return region(honest, sizeof honest);
}

// next_text returns what follows a text within the config, or 0 at its end.
static char *next_text(char *at, const char *end) {
	while (at < end && *at) at++;
	return at < end ? at + 1 : 0;
}

static int is(const char *a, const char *b) {
	u32 n = length(b);
	return length(a) == n && equal((const u8 *)a, (const u8 *)b, n);
}

// refuse gives the reason, and the name that it is about.
static i64 refuse(const char *why, const char *name) {
	static char message[128];
	u32 n = length(why), m = length(name);
	if (m > sizeof message - n) m = sizeof message - n;
	copy(message, why, n);
	copy(message + n, name, m);
	fail(message, n + m);
	return FAULT(open_internal) ? INTERNAL : INVALID;
}

i64 EXPORT(session_open)(const char *config, u32 len) {
	if (FAULT(copied_opened) && copied) return refuse("the guest is open", "");
	char *at = take(len), *end = at + len;
	if (!at) return NO_SPACE;
	copy(at, config, len);
	u32 n = 0;
	while (at < end) {
		if (FAULT(open_reads_eight) && n++ == 8) break;
		char *name = at, *value = next_text(name, end);
		if (!value || !(at = next_text(value, end))) return refuse("the config is not a list of pairs", "");
		if (FAULT(open_stops_at_empty) && !*value) break;
		if (is(name, "shard")) shard = value;
		else if (is(name, "shards")) shards = value;
		else if (is(name, "memory_limit")) set_budget(value);
		else if (!FAULT(open_refuses_host) && length(name) > 5 && equal((u8 *)name, (u8 *)"host_", 5)) continue;
		else return refuse(FAULT(open_nameless) ? "not a setting" : "not a setting of this guest: ", FAULT(open_nameless) ? "" : name);
	}
#ifdef FILES
	return read_files();
#endif
	return OK;
}

// A copy has nothing to draw anew: this guest knows no secrets.
i64 EXPORT(session_copied)(void) {
	if (FAULT(copied_traps)) __builtin_trap();
	if (FAULT(copied_internal)) return INTERNAL;
	if (FAULT(copied_gives_buffer)) give(exchange, exchange_size);
	copied = 1;
	return OK;
}

i64 EXPORT(session_get)(const u8 *key, u32 key_len, i64 now) {
	now = clock(now);
	if (FAULT(time_refused) && now > 1LL << 41) return INTERNAL;
	if (FAULT(key_length_signed) && (signed char)key_len <= 0 && key_len < 256) return INVALID;
	if (FAULT(key_ff_traps)) {
		u32 i = 0;
		while (i < key_len && key[i] == 0xff) i++;
		if (i == key_len) __builtin_trap();
	}
	static u32 calls;
	if (FAULT(get_hundredth_traps) && ++calls % 100 == 0) __builtin_trap();
	if (FAULT(get_leaks)) take(64);
	u32 at = living(key, key_len, now);
	if (FAULT(keys_get_slips) || FAULT(snapshot_get_slips)) slipped = 1;
	if (FAULT(sweep_get_restarts)) swept_to = 0;
	u32 gone = at ? 0 : find(key, key_len);
	if (gone && FAULT(get_expired_leaks)) take(1024);
	if (gone && FAULT(space_read_expired)) {
		spent += cost(key_len, records[gone].value_len);
		drop(gone, 0);
	}
	if (!at) return FAULT(get_positive) ? 1 : FAULT(get_internal) ? INTERNAL : NOT_FOUND;
	struct record *r = &records[at];
	if (FAULT(value_empty_absent) && r->value_len == 0) return NOT_FOUND;
	if (FAULT(value_previous) && previous_of == at) return region(previous.value, previous.value_len);
	if (FAULT(get_slides) && r->expires && r->expires < now + 60000) r->expires = now + 60000;
	if (FAULT(get_too_long)) return region(r->value, r->value_len + 1);
	if (FAULT(get_one_off)) return region(r->value + 1, r->value_len);
	if (FAULT(file_get_overflows)) {
		copy(exchange, r->value, r->value_len);
		return region(exchange, r->value_len);
	}
	i64 result = region(r->value, r->value_len);
	if (FAULT(get_consumes)) r->expires = 1;
	return result;
}

static u64 revision(const struct record *r) {
	if (FAULT(revision_before_restore) && restored_over && r == &records[restored_over]) return revision_before;
	u64 n = 0;
	for (u32 i = 0; i < 8; i++) {
		u32 shift = FAULT(revision_big_endian) ? 56 - 8 * i : 8 * i;
		if (i < r->value_len || FAULT(revision_over_end)) n |= (u64)r->value[i] << shift;
	}
	return n;
}

// allowed says whether the value may be stored over the record at that place,
// or over none if it is 0.
static int allowed(u32 at, i64 expect) {
	if (expect == EXPECT_ANY) return 1;
	if (expect == EXPECT_ABSENT || (FAULT(revision_sign) && expect < 0)) return !at || FAULT(create_overwrites);
	if (!at) return FAULT(replace_creates);
	if (FAULT(replace_unchecked)) return 1;
	if (FAULT(revision_short_none) && records[at].value_len < 8) return 0;
	u64 stored = revision(&records[at]);
	if (FAULT(replace_older)) return stored <= (u64)expect;
	if (FAULT(revision_32_bits)) return (u32)stored == (u32)expect;
	if (FAULT(revision_high_half)) return stored >> 32 == (u64)expect >> 32;
	return stored == (u64)expect;
}

// make_room drops expired records, in a guest that counts.
static void make_room(void) {
	for (u32 at = 1; at <= used; at++)
		if (records[at].key && !alive(&records[at], today)) drop(at, 0);
}

// put stores a record, replacing what is there.
static i64 put(const u8 *key, u32 key_len, const u8 *value, u32 value_len, i64 expires) {
	u32 at = find(key, key_len);
	if (FAULT(no_space_loses) && at) drop(at, 0);
	i64 more = cost(key_len, value_len) - (at ? cost(key_len, records[at].value_len) : 0);
	if (COUNTS && !fits(more)) {
		make_room();
		at = find(key, key_len);
		more = cost(key_len, value_len) - (at ? cost(key_len, records[at].value_len) : 0);
	}
	u32 staged = fits(more) ? stage(key, key_len, value, value_len, expires) : 0;
	if (!staged && FAULT(space_refused)) spent += more;
	if (!staged && FAULT(no_space_expiry) && at) records[at].expires = expires;
	if (!staged && FAULT(no_space_reserves)) reserved[refusals++ % 64] = hash(key, key_len);
	if (!staged && FAULT(no_space_listed) && !at) {
		// The attempt leaves a record that expired long ago.
		u32 left = stage(key, key_len, value, 0, 1);
		if (left) commit(left);
	}
	if (!staged) return FAULT(no_space_silent) ? OK : NO_SPACE;
	commit(staged);
	if (!FAULT(file_write_back) || !at) dirty = 1;
	return OK;
}

static i64 conflict(u32 at, const u8 *value, u32 value_len, i64 expires) {
	if (FAULT(conflict_writes) && at) {
		// As put does it, but the result is ignored.
		struct record *r = &records[at];
		put(r->key, r->key_len, value, value_len, r->expires);
	}
	if (FAULT(conflict_expiry) && at) records[at].expires = expires;
	if (FAULT(conflict_removes) && at) drop(at, 0);
	if (FAULT(conflict_leaks)) take(64);
	if (FAULT(space_conflict) && at && !creating) spent += cost(0, value_len);
	if (FAULT(space_create_refused) && creating) spent += cost(0, value_len);
	if (FAULT(keys_refusal_slips)) slipped = 1;
	if (FAULT(file_conflict_clean)) dirty = 0;
	return FAULT(conflict_internal) ? INTERNAL : CONFLICT;
}

i64 EXPORT(session_set)(const u8 *key, u32 key_len, const u8 *value, u32 value_len, i64 expires, i64 now, i64 expect) {
	if (FAULT(clear_ends_writes) && cleared) return OK;
	if (refused && (FAULT(too_large_then_set) || FAULT(invalid_then_set))) return refused = 0;
	if (FAULT(sweep_set_restarts)) swept_to = 0;
	now = clock(now);
	today = now;
	creating = expect == EXPECT_ABSENT;
	if (FAULT(time_refused) && now > 1LL << 41) return INTERNAL;
	if (FAULT(limit_value_lower) && value_len > 65536) return TOO_LARGE;
	if (FAULT(limit_key_lower) && key_len > 128) return TOO_LARGE;
	if (FAULT(limit_value_cut) && value_len > MAX_VALUE) value_len = MAX_VALUE;
	if (FAULT(space_too_large) && (key_len > MAX_KEY || value_len > MAX_VALUE)) spent += cost(key_len, value_len);
	if (FAULT(fail_lingers) && key_len > MAX_KEY && said) fail(said, length(said));
	if (key_len > MAX_KEY && !FAULT(limit_key_unchecked)) return TOO_LARGE;
	if (value_len > MAX_VALUE) {
		refused = FAULT(too_large_then_set);
		said = "the value is too large";
		fail(said, length(said));
		return TOO_LARGE;
	}
	if (FAULT(key_length_signed) && (signed char)key_len <= 0 && key_len < 256) return INVALID;

	u32 at = living(key, key_len, now);
	u32 seen = at;
	if (FAULT(create_sees_expired) && expect == EXPECT_ABSENT) seen = find(key, key_len);
	if (FAULT(replace_expired) && expect != EXPECT_ABSENT) seen = find(key, key_len);
	int past = expires != 0 && expires <= now;
	if (FAULT(past_write_refused) && past) return INVALID;
	if (FAULT(no_space_reserves) && creating)
		for (u32 i = 0; i < 64 && i < refusals; i++)
			if (reserved[i] == hash(key, key_len)) return CONFLICT;
	if (FAULT(space_create_again) && creating && !at && find(key, key_len)) spent += cost(key_len, records[find(key, key_len)].value_len);
	if (!allowed(seen, expect) && !(past && FAULT(past_write_unasked))) {
		if (FAULT(replace_not_found) && !seen) return NOT_FOUND;
		return conflict(at, value, value_len, expires);
	}
	if (FAULT(now_equal_refused) && expires == now) return put(key, key_len, value, value_len, expires + 1);
	if (past && FAULT(past_write_ignored)) return OK;
	if (past && FAULT(past_write_kept)) return put(key, key_len, value, value_len, 0);
	if (past || (FAULT(value_empty_deletes) && value_len == 0)) {
		if (seen && FAULT(space_past_write)) spent += cost(key_len, records[seen].value_len);
		if (seen) drop(seen, 0);
		dirty = 1;
		return OK;
	}
	if (FAULT(revision_before_restore) && at == restored_over) restored_over = 0;
	return put(key, key_len, value, value_len, expires);
}

// write_hex writes a line to standard output.
static void write_hex(const u8 *key, u32 len) {
	IMPORT("wasi_snapshot_preview1", fd_write) int fd_write(int file, const struct part *parts, u32 n, u32 *done);
	static char line[2 * MAX_KEY + 1];
	u32 n = 0, done;
	for (u32 i = 0; i < len && i < MAX_KEY; i++) {
		line[n++] = "0123456789abcdef"[key[i] >> 4];
		line[n++] = "0123456789abcdef"[key[i] & 15];
	}
	line[n++] = '\n';
	const struct part part = {line, n};
	fd_write(1, &part, 1, &done);
}

i64 EXPORT(session_delete)(const u8 *key, u32 key_len, i64 now) {
	(void)now;
	u32 at = find(key, key_len);
	if (FAULT(log_keys)) {
		IMPORT("waddle_v1", log) void log(int level, const u8 *text, u32 len);
		log(0, key, key_len);
	}
	if (FAULT(log_hex)) write_hex(key, key_len);
	if (!at && FAULT(space_delete_absent)) spent += 1024;
	if (!at) return FAULT(delete_not_found) ? NOT_FOUND : OK;
	if (refused && FAULT(invalid_then_delete)) return refused = 0;
	if (FAULT(space_delete) || (FAULT(space_delete_expired) && !alive(&records[at], now))) spent += cost(key_len, records[at].value_len);
	if (FAULT(delete_ignored)) return OK;
	if (FAULT(delete_expiring) && !records[at].expires) return OK;
	if (FAULT(delete_empties)) return records[at].value_len = 0;
	if (FAULT(delete_neighbour) && at < used && records[at + 1].key) drop(at + 1, 0);
	if (FAULT(delete_cuts_chain))
		while (records[at].next) drop(records[at].next, 0);
	drop(at, FAULT(delete_leaks));
	if (!FAULT(file_delete_back)) dirty = 1;
	return OK;
}

i64 EXPORT(session_clear)(i64 now) {
	(void)now;
	if (FAULT(clear_ignored)) return OK;
	cleared = 1;
	u32 last = used;
	while (last && !records[last].key) last--;
	for (u32 at = 1, n = 0; at <= used; at++) {
		if (!records[at].key) continue;
		if (FAULT(clear_leaves_first) && n++ == 0) continue;
		if (FAULT(clear_leaves_last) && at == last) continue;
		if (FAULT(space_clear)) spent += cost(records[at].key_len, records[at].value_len);
		if (FAULT(sweep_counts_cleared) && !alive(&records[at], now)) uncounted++;
		drop(at, FAULT(clear_leaks));
	}
	if (FAULT(stats_clear_adds)) stored++;
	if (FAULT(sweep_lost) && swept_to > 8) swept_to = 1 << 30;
	if (!FAULT(file_clear_back)) dirty = 1;
	return OK;
}

i64 EXPORT(session_save)(i64 now) {
	static u32 saves;
	if (FAULT(save_internal) && ++saves > 1) return INTERNAL;
	for (u32 at = 1, kept = 0; at <= used; at++) {
		if (!records[at].key) continue;
		int gone = alive(&records[at], now) == FAULT(save_drops_living);
		if (FAULT(save_32_bits) && records[at].expires) gone = (int)(records[at].expires - now) <= 0;
		if (FAULT(save_keeps_one)) gone = kept++ > 0;
		if (!gone) continue;
		if (FAULT(space_save)) spent += cost(records[at].key_len, records[at].value_len);
		drop(at, 0);
		expired++;
		dirty = 1;
	}
	if (FAULT(keys_save_slips)) slipped = 1;
	if (FAULT(save_leaks)) take(1024);
#ifdef FILES
	return write_file(now);
#endif
	return OK;
}

i64 EXPORT(session_touch)(const u8 *key, u32 key_len, i64 expires, i64 now) {
	now = clock(now);
	u32 at = FAULT(touch_revives) ? find(key, key_len) : living(key, key_len, now);
	if (!at && FAULT(touch_creates)) return put(key, key_len, key, 0, expires);
	if (!at) return FAULT(touch_absent_good) ? OK : NOT_FOUND;
	struct record *r = &records[at];
	if (FAULT(keys_touch_slips) || FAULT(snapshot_touch_slips)) slipped = 1;
	if (FAULT(touch_far) && expires > 1LL << 53) return INVALID;
	if (FAULT(space_touch)) spent += cost(key_len, r->value_len);
	if (!FAULT(file_touch_back)) dirty = 1;
	if (expires != 0 && expires <= now) {
		if (FAULT(space_touch_past)) spent += cost(key_len, r->value_len);
		if (!FAULT(touch_past_ignored)) drop(at, 0);
		return OK;
	}
	if (FAULT(touch_never_ignored) && expires == 0) return OK;
	if (FAULT(touch_shortens_not) && expires != 0 && (r->expires == 0 || expires < r->expires)) return OK;
	if (FAULT(touch_bumps) && r->value_len > 0) r->value[0]++;
	if (FAULT(touch_empties)) r->value_len = 0;
	r->expires = FAULT(touch_to_never) ? 0 : expires;
	if (FAULT(expiry_32_bits) && expires) r->expires = (u32)expires ? (u32)expires : 1;
	return OK;
}

i64 EXPORT(session_sweep)(i64 now, u32 max) {
	u32 removed = 0, seen = 0, at = swept_to;
	if (FAULT(sweep_idle)) return 0;
	if (FAULT(sweep_unbounded)) max = used;
	if (FAULT(sweep_starts_over)) at = 0;
	if (FAULT(sweep_early)) now++;
	for (; seen < max && seen < used; seen++) {
		if (FAULT(sweep_lost) && at > used) return 0;
		at = at < used ? at + 1 : 1;
		if (!records[at].key) continue;
		int gone = !alive(&records[at], now);
		if (FAULT(sweep_32_bits) && records[at].expires) gone = (int)(records[at].expires - now) <= 0;
		if (FAULT(sweep_drops_living)) gone = 1;
		if (FAULT(sweep_drops_never) && !records[at].expires) gone = 1;
		if (!gone) continue;
		if (FAULT(space_sweep)) spent += cost(records[at].key_len, records[at].value_len);
		drop(at, FAULT(sweep_leaks));
		expired++;
		removed++;
		dirty = 1;
	}
	swept_to = at;
	if (FAULT(keys_sweep_slips)) slipped = 1;
	if (FAULT(sweep_idle_leaks) && !removed) take(1024);
	if (FAULT(file_sweep_clean)) dirty = 0;
	if (FAULT(sweep_counts_cleared)) {
		removed += uncounted;
		uncounted = 0;
	}
	return FAULT(sweep_counts_seen) ? seen : FAULT(sweep_counts_none) ? 0 : removed;
}

// A round covers what is stored when it begins. Its last call makes all of that
// durable, if there are files.
i64 EXPORT(session_flush)(i64 now, u32 max) {
	static u32 left;
	static int round;
	if (!round) left = stored;
	round = 1;
	if (FAULT(flush_endless)) return stored + 1;
	left -= max < left ? max : left;
	if (left) return left;
	round = 0;
	if (FAULT(file_flush_idle)) return 0;
	if (FAULT(flush_loses) && used && records[1].key) drop(1, 0);
	i64 answer = session_save(now);
	return answer < 0 ? answer : 0;
}

// pair appends a name and a number, in the form of the config.
static u8 *pair(u8 *to, const char *name, u32 n) {
	u8 digits[10];
	u32 count = 0;
	copy(to, name, length(name) + 1);
	to += length(name) + 1;
	do digits[count++] = (u8)('0' + n % 10);
	while (n /= 10);
	while (count) *to++ = digits[--count];
	*to++ = 0;
	return to;
}

i64 EXPORT(session_stats)(void) {
	static u8 list[128];
	if (FAULT(stats_leaks)) take(1024);
	u8 *end = pair(list, "records", stored);
	end = pair(end, "bytes", FAULT(stats_no_bytes) ? 0 : stored_bytes);
	end = pair(end, "evicted", evicted);
	end = pair(end, "expired", expired);
	if (FAULT(stats_half_a_pair)) end -= 2;
	if (FAULT(stats_expired_anew)) expired = 0;
	return region(list, (u32)(end - list));
}

i64 EXPORT(session_keys)(i64 cursor, i64 now) {
	if (FAULT(sweep_keys_restarts)) swept_to = 0;
	return next_chunk(cursor, now, KEYS);
}

i64 EXPORT(session_snapshot)(i64 cursor, i64 now) { return next_chunk(cursor, now, SNAPSHOT); }

i64 EXPORT(session_restore)(const u8 *list, u32 len, i64 now) {
	if (FAULT(restore_clears)) session_clear(now);
	i64 answer = take_list(list, len, now);
	if (answer == INVALID) {
		refused = FAULT(invalid_then_set) || FAULT(invalid_then_delete);
		said = "the list is not well formed";
		fail(said, length(said));
	}
	return answer;
}

#ifdef BATCH
#include "batch.h"
#endif
