// Records as lists: the chunks that keys and snapshot return and a file consists
// of, and the lists that restore and a file give back.
#pragma once
#include "table.h"

enum kind { KEYS, SNAPSHOT, SAVED };
enum { HEADER = 16 }; // of a record in a list

static int reading; // the list is from a file

static u32 began;   // the number of writes when a snapshot began
static int slipped; // a fault has moved the cursor

// What a restore overwrote, for a fault.
static u32 restored_over;
static u64 revision_before;

// listed says whether a record belongs in a chunk.
static int listed(u32 at, i64 now, enum kind kind) {
	struct record *r = &records[at];
	if (!r->key) return 0;
	if (kind == KEYS && FAULT(keys_expired)) return 1;
	if (kind == KEYS && FAULT(no_space_listed) && r->expires == 1) return 1;
	if (kind == KEYS && FAULT(keys_expiring_left) && r->expires) return 0;
	if (kind == SNAPSHOT && FAULT(snapshot_expired)) return 1;
	if (kind == SNAPSHOT && FAULT(snapshot_no_empty) && r->value_len == 0) return 0;
	if (kind == SNAPSHOT && FAULT(snapshot_no_newer) && r->written > began) return 0;
	if (kind == SAVED && FAULT(file_last_lost) && at == last_written) return 0;
	if (kind == SAVED && FAULT(file_empty_lost) && r->value_len == 0) return 0;
	return alive(r, now);
}

// entry writes a record or key to a list and returns its end.
static u8 *entry(u8 *to, u32 at, enum kind kind) {
	struct record r = records[at];
	if (kind == KEYS) {
		if (FAULT(keys_cut) && r.key_len > 64) r.key_len = 64;
		put32(to, r.key_len);
		copy(to + 4, r.key, r.key_len);
		return to + 4 + r.key_len;
	}
	if (kind == SNAPSHOT && FAULT(snapshot_expiry)) r.expires = 0;
	if (kind == SNAPSHOT && FAULT(snapshot_stale) && previous_of == at) {
		r.value = previous.value;
		r.value_len = previous.value_len < r.value_len ? previous.value_len : r.value_len;
	}
	if (kind == SAVED) {
		if (FAULT(file_expiry_lost)) r.expires = 0;
		if (FAULT(file_expiry_seconds)) r.expires -= r.expires % 1000;
		if (FAULT(file_key_text))
			for (u32 i = 1; i < r.key_len; i++)
				if (!r.key[i]) r.key_len = i;
		if (FAULT(file_value_text))
			for (u32 i = 8; i < r.value_len; i++)
				if (!r.value[i]) r.value_len = i;
		if (FAULT(file_value_4k) && r.value_len > 4096) r.value_len = 4096;
	}
	put32(to, r.key_len);
	put32(to + 4, r.value_len);
	put64(to + 8, r.expires);
	copy(to + HEADER, r.key, r.key_len);
	copy(to + HEADER + r.key_len, r.value, r.value_len);
	return to + HEADER + r.key_len + r.value_len;
}

// next_chunk returns what is listed after the place in the cursor.
static i64 next_chunk(i64 cursor, i64 now, enum kind kind) {
	static u32 place; // of the latest enumeration
	int shared = (kind == KEYS && FAULT(keys_one_at_a_time)) || (kind == SNAPSHOT && FAULT(snapshot_one_at_a_time));
	if (shared && cursor) cursor = place;
	u32 from = (u32)cursor + 1, to = from, size = 8, n = 0, skip = 0;
	if (kind == SNAPSHOT && cursor == 0) began = writes;
	if (cursor != 0 && kind == (FAULT(snapshot_get_slips) || FAULT(snapshot_touch_slips) ? SNAPSHOT : KEYS)) from += slipped;
	slipped = 0;
	if (FAULT(keys_shift) && kind == KEYS) // the cursor is how many were listed before
		for (from = 1; from <= used && skip < (u32)cursor; from++) skip += listed(from, now, kind);
	u32 gap = 0;
	for (to = from; to <= used && size < CHUNK; to++) {
		gap = records[to].key ? 0 : gap + 1;
		if (FAULT(keys_gap_ends) && kind == KEYS && gap == 100) {
			to = used + 1;
			break;
		}
		if (!listed(to, now, kind)) continue;
		size += kind == KEYS ? 4 + records[to].key_len : HEADER + records[to].key_len + records[to].value_len;
		n++;
	}
	if (size > chunk_size) {
		give(chunk, chunk_size);
		chunk_size = size;
		if (!(chunk = take(size))) {
			chunk_size = 0;
			return UNAVAILABLE;
		}
	}
	u8 *end = chunk + 8;
	int edge = cursor != 0 && ((kind == KEYS && FAULT(keys_miss_edge)) || (kind == SNAPSHOT && FAULT(snapshot_miss_edge)));
	int one = kind == SAVED && FAULT(file_keeps_one) && cursor == 0;
	gap = 0;
	for (u32 at = from; at < to; at++) {
		gap = records[at].key ? 0 : gap + 1;
		if (FAULT(keys_gap_ends) && kind == KEYS && gap == 100) break;
		if (!listed(at, now, kind)) continue;
		if (!edge) end = entry(end, at, kind);
		edge = 0;
		if (one) break;
	}
	i64 next = to <= used ? to - 1 : 0;
	if (shared) place = (u32)next;
	int full = FAULT(keys_full_chunk) ? kind == KEYS : FAULT(snapshot_full_chunk) && kind == SNAPSHOT;
	if (full && next && size == CHUNK) next++;
	if (FAULT(keys_left_leaks) && cursor == 0 && next) take(1024);
	if (FAULT(keys_shift) && kind == KEYS && next) next = skip + n;
	if (FAULT(keys_endless) && kind == KEYS && !next) next = used + 1;
	if (FAULT(keys_endless) && kind == KEYS && cursor > used) next = 1;
	if ((FAULT(keys_first_chunk) && kind == KEYS) || one) next = 0;
	put64(chunk, next);
	return region(chunk, (u32)(end - chunk));
}

// cut returns the end of the record that a list begins with, or 0 if it is cut off.
static const u8 *cut(const u8 *list, const u8 *end) {
	if (end - list < HEADER) return 0;
	u64 size = (u64)HEADER + get32(list) + get32(list + 4);
	return size <= (u64)(end - list) ? list + size : 0;
}

// take_list stores the records of a list, all or none.
static i64 take_list(const u8 *list, u32 len, i64 now) {
	const u8 *end = list + len;
	for (const u8 *at = list; at < end;) {
		const u8 *next = cut(at, end);
		if (!next && FAULT(restore_torn)) {
			end = at;
			break;
		}
		if (!next && FAULT(restore_partial)) {
			take_list(list, (u32)(at - list), now);
			return INVALID;
		}
		if (!next && FAULT(space_restore_invalid)) spent += 1024;
		if (!next) return INVALID;
		if (get32(at) > MAX_KEY || get32(at + 4) > MAX_VALUE) return TOO_LARGE;
		if (get32(at) == 0) return INVALID;
		at = next;
	}
	// Each is made before the first is put in place. Until then they form a list,
	// with the last one first.
	u32 staged = 0, first = 0;
	i64 more = 0, code = OK;
	for (const u8 *at = list; at < end; at = cut(at, end)) {
		u32 key_len = get32(at), value_len = get32(at + 4);
		i64 expires = get64(at + 8);
		const u8 *key = at + HEADER, *value = key + key_len;
		if (FAULT(restore_first_only) && at > list) break;
		if (FAULT(restore_expiry)) expires = 0;
		if (FAULT(restore_far_never) && expires > 1LL << 53) expires = 0;
		if (FAULT(restore_half_mib) && value_len > 1 << 19) continue;
		if (FAULT(restore_past_leaks) && expires != 0 && expires <= now) take(1024);
		if (FAULT(restore_no_overwrite) && living(key, key_len, now)) continue;
		if (expires != 0 && expires <= now) {
			u32 old = FAULT(restore_past_drops) ? find(key, key_len) : 0;
			if (old) drop(old, 0);
			if (!FAULT(restore_takes_past)) continue;
			expires = 0;
		}
		u32 there = find(key, key_len);
		more += cost(key_len, value_len) - (there ? cost(key_len, records[there].value_len) : 0);
		u32 one = fits(more) ? stage(key, key_len, value, value_len, expires) : 0;
		if (!one && FAULT(restore_fills)) {
			code = NO_SPACE;
			break;
		}
		if (!one) {
			if (FAULT(space_restore_refused)) spent += more;
			while (staged) {
				u32 next = records[staged].next;
				discard(staged, 0);
				staged = next;
			}
			return NO_SPACE;
		}
		records[one].next = staged;
		staged = one;
	}
	while (staged) { // reversed, so that of two records with one key the later stays
		u32 next = records[staged].next;
		records[staged].next = first;
		first = staged;
		staged = next;
	}
	while (first) {
		u32 next = records[first].next;
		u32 there = find(records[first].key, records[first].key_len);
		if (FAULT(revision_before_restore) && there) {
			restored_over = there;
			revision_before = 0;
			copy(&revision_before, records[there].value, records[there].value_len < 8 ? records[there].value_len : 8);
		}
		if (FAULT(space_restore) && there) spent += cost(records[there].key_len, records[there].value_len);
		if (!FAULT(file_old_wins) || !reading || !there) commit(first);
		else discard(first, 0);
		first = next;
	}
	if (!FAULT(file_restore_back)) dirty = 1;
	return code;
}
