// session_batch: a list of operations, each of which the guest's own exports do.
#pragma once

enum { RESULTS = 1 << 18, OP = 40, RESULT = 8 }; // sizes of all results, and of headers
enum { KIND_GET = 1, KIND_SET = 2, KIND_DELETE = 3, KIND_TOUCH = 4 };

struct op {
	const u8 *key, *value;
	u32 kind, key_len, value_len;
	i64 expires, now, expect;
};

static u8 *results;
static u32 results_len;

// next_op cuts an operation off a list.
static const u8 *next_op(const u8 *at, struct op *o) {
	*o = (struct op){.kind = get32(at), .key_len = get32(at + 4), .value_len = get32(at + 8),
		.expires = get64(at + 16), .now = get64(at + 24), .expect = get64(at + 32)};
	o->key = at + OP;
	o->value = o->key + o->key_len;
	return o->value + o->value_len;
}

// add_result adds the result of one operation, whose value lies where region says. left is how
// many more will follow.
static void add_result(const struct op *o, i64 r, u32 left) {
	u32 len = 0;
	const u8 *value = 0;
	if (r >= 0 && o->kind == KIND_GET) {
		value = (const u8 *)(u32)(r >> 32);
		len = (u32)r;
		if (FAULT(batch_value_cut) && len > 64) len = 64;
		if (FAULT(batch_empty_absent) && !len) r = NOT_FOUND;
		if (results_len + RESULT * (left + 1) + len > RESULTS) {
			len = 0;
			r = FAULT(batch_large_empty) ? OK : UNSUPPORTED;
		}
	}
	if (FAULT(batch_value_of_set) && r >= 0 && o->kind == KIND_SET) {
		value = o->value;
		len = o->value_len < 8 ? o->value_len : 8;
	}
	i64 code = r < 0 ? r : 0;
	put32(results + results_len, (u32)(FAULT(batch_code_positive) ? -code : code));
	put32(results + results_len + 4, len);
	copy(results + results_len + RESULT, value, len);
	results_len += RESULT + len;
}

// get_once is session_get, but for the record that a list has read last.
static u8 *kept_key, *kept_value;
static u32 kept_key_len, kept_value_len;

static i64 get_once(const struct op *o) {
	if (kept_key && kept_key_len == o->key_len && equal(kept_key, o->key, o->key_len)) return region(kept_value, kept_value_len);
	i64 r = session_get(o->key, o->key_len, o->now);
	if (r < 0) return r;
	kept_key = take(kept_key_len = o->key_len);
	kept_value = take(kept_value_len = (u32)r);
	copy(kept_key, o->key, o->key_len);
	copy(kept_value, (const u8 *)(u32)(r >> 32), kept_value_len);
	return r;
}

static i64 do_op(struct op *o) {
	if (o->kind != KIND_GET) kept_key = 0;
	switch (o->kind) {
	case KIND_GET: return FAULT(batch_stale) ? get_once(o) : session_get(o->key, o->key_len, o->now);
	case KIND_DELETE:
		if (FAULT(batch_delete_absent) && !living(o->key, o->key_len, o->now)) return NOT_FOUND;
		if (FAULT(batch_delete_ignored)) return OK;
		return session_delete(o->key, o->key_len, o->now);
	case KIND_TOUCH:
		if (FAULT(batch_touch_ignored)) return living(o->key, o->key_len, o->now) ? OK : NOT_FOUND;
		if (FAULT(batch_touch_creates) && !living(o->key, o->key_len, o->now)) return OK;
		return session_touch(o->key, o->key_len, o->expires, o->now);
	}
	if (FAULT(batch_expect_ignored)) o->expect = EXPECT_ANY;
	if (FAULT(batch_expiry_lost) && o->expires > o->now) o->expires = 0;
	if (FAULT(batch_past_stored) && o->expires && o->expires <= o->now) o->expires = o->now + 1000;
	if (FAULT(batch_too_large) && o->value_len > MAX_VALUE) o->value_len = MAX_VALUE;
	i64 r = session_set(o->key, o->key_len, o->value, o->value_len, o->expires, o->now, o->expect);
	static u32 sets;
	if (FAULT(batch_left_done) && ++sets % 3 == 0) return UNSUPPORTED;
	u32 at = FAULT(batch_not_copied) && r >= 0 ? living(o->key, o->key_len, o->now) : 0;
	if (at && o->value_len == records[at].value_len) records[at].value = (u8 *)o->value;
	return r;
}

i64 EXPORT(session_batch)(const u8 *list, u32 len) {
	const u8 *end = list + len;
	struct op o, first;
	u32 n = 0;
	for (const u8 *at = list; at < end; n++) at = next_op(at, &o);
	if (FAULT(batch_one_refused) && n == 1) return INVALID;
	if (FAULT(batch_leaks)) take(256);
	if (!results && !(results = take(RESULTS))) return NO_SPACE;
	results_len = 0;
	next_op(list, &first);
	int before = dirty;
	i64 spread = 0;
	if (FAULT(batch_reads_last))
		for (const u8 *at = list; at < end;) {
			at = next_op(at, &o);
			if (o.kind != KIND_GET) do_op(&o);
		}
	u32 i = 0;
	for (const u8 *at = list; at < end; i++) {
		at = next_op(at, &o);
		if (FAULT(batch_first_time)) o.now = first.now;
		i64 r = spread;
		if (FAULT(batch_reads_last) && o.kind != KIND_GET) r = OK;
		else if (FAULT(batch_hundred) && i >= 100) r = INTERNAL;
		else if (!spread) {
			struct op earlier;
			u32 again = 0;
			if (FAULT(batch_reads_once) && o.kind == KIND_GET)
				for (const u8 *from = list; !again && from < at - OP - o.key_len - o.value_len;) {
					from = next_op(from, &earlier);
					again = earlier.kind == KIND_GET && earlier.key_len == o.key_len && equal(earlier.key, o.key, o.key_len);
				}
			r = again ? NOT_FOUND : do_op(&o);
		}
		if (FAULT(batch_code_spreads) && r < 0) spread = r;
		if (FAULT(batch_stops) && spread) r = OK;
		if (FAULT(batch_one_less) && i == n - 1) break;
		if (FAULT(batch_stops) && spread && o.kind == KIND_GET) r = NOT_FOUND;
		add_result(&o, r, n - i - 1);
		if (FAULT(batch_stops) && r < 0) spread = 1;
	}
	if (FAULT(batch_one_more)) add_result(&first, NOT_FOUND, 0);
	if (FAULT(file_batch_clean)) dirty = before;
	return region(results, results_len);
}
