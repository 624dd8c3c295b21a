// The table: records in numbered places, and an index of them by key. A record
// keeps its place as long as it is stored, even when it is overwritten.
#pragma once
#include "budget.h"

struct record {
	u8 *key, *value; // key is 0 in a free place
	u32 key_len, value_len;
	i64 expires;
	u32 next; // in the index, or the next free place; 0 = none
	u32 written; // when, counted in writes
};

enum { PLACES = 4096 }; // of the index

static struct record *records; // from 1 on
static u32 room, used, free_place, last_written, writes;

// What session_stats reports.
static u32 stored, stored_bytes, evicted, expired;
static u32 index_of[PLACES];

// A value before it was last overwritten: faults return it.
enum { KEEPS_PREVIOUS = FAULT(value_previous) || FAULT(snapshot_stale) };
static struct record previous;
static u32 previous_of;

static u32 hash(const u8 *key, u32 len) {
	u32 h = 2166136261u;
	for (u32 i = 0; i < len; i++) {
		u8 c = key[i];
		if (FAULT(key_text) && !c) break;
		if (FAULT(key_case) && c >= 'A' && c <= 'Z') c += 'a' - 'A';
		if (FAULT(key_64_bytes) && i == 64) break;
		if (FAULT(key_last_byte) && len > 64 && i == len - 1) break;
		if (FAULT(key_prefix) && i == 1) break;
		h = (h ^ c) * 16777619u;
	}
	return h ^ h >> 16;
}

static int same_key(const struct record *r, const u8 *key, u32 len) {
	if (FAULT(key_prefix)) return equal(r->key, key, r->key_len < len ? r->key_len : len);
	if (FAULT(key_hash_only)) return r->key_len == len && (hash(r->key, len) & 0xffff) == (hash(key, len) & 0xffff);
	if (FAULT(key_64_bytes) && r->key_len >= 64 && len >= 64) return equal(r->key, key, 64);
	if (FAULT(key_last_byte) && r->key_len == len && len > 64) return equal(r->key, key, len - 1);
	if (FAULT(key_text)) {
		u32 i = 0;
		while (i < len && i < r->key_len && key[i] && key[i] == r->key[i]) i++;
		return (i == len || !key[i]) && (i == r->key_len || !r->key[i]);
	}
	if (FAULT(key_case)) {
		if (r->key_len != len) return 0;
		for (u32 i = 0; i < len; i++) {
			u8 a = r->key[i], b = key[i];
			if (a >= 'A' && a <= 'Z') a += 'a' - 'A';
			if (b >= 'A' && b <= 'Z') b += 'a' - 'A';
			if (a != b) return 0;
		}
		return 1;
	}
	return r->key_len == len && equal(r->key, key, len);
}

// find returns the place of a key, expired or not; 0 = none.
static u32 find(const u8 *key, u32 len) {
	u32 at = index_of[hash(key, len) % PLACES];
	u32 n = 0;
	while (at && !same_key(&records[at], key, len)) {
		at = records[at].next;
		if (FAULT(key_chain_of_eight) && ++n == 8) return 0;
	}
	return at;
}

// alive says whether a record is there for the operation of that time.
static int alive(const struct record *r, i64 now) {
	i64 expires = r->expires;
	if (FAULT(expiry_forgotten)) return 1;
	if (FAULT(expiry_unsigned)) return expires == 0 || (u64)now < (u64)expires;
	if (FAULT(expiry_late)) return expires == 0 || now <= expires;
	if (FAULT(expiry_early)) return expires == 0 || now + 1 < expires;
	if (FAULT(expiry_seconds)) return expires == 0 || now / 1000 < (expires + 999) / 1000;
	if (FAULT(expiry_32_bits)) return expires == 0 || (u32)now < (u32)expires;
	if (FAULT(expiry_signed_32) && expires / 1000 > 0x7fffffff) return 0;
	if (FAULT(expiry_negative_never)) return expires <= 0 || now < expires;
	if (FAULT(expiry_negative_past)) return expires == 0 || (expires > 0 && now < expires);
	return expires == 0 || now < expires;
}

// living returns the place of a key that has not expired.
static u32 living(const u8 *key, u32 len, i64 now) {
	u32 at = find(key, len);
	return at && alive(&records[at], now) ? at : 0;
}

// discard frees a place that is not, or no longer, in the index.
static void discard(u32 at, int leaks) {
	struct record *r = &records[at];
	if (!leaks) {
		give(r->key, r->key_len);
		if (!FAULT(value_not_copied)) give(r->value, r->value_len);
	}
	*r = (struct record){.next = free_place};
	free_place = at;
	if (previous_of == at) previous_of = 0;
}

static void drop(u32 at, int leaks) {
	struct record *r = &records[at];
	u32 *from = &index_of[hash(r->key, r->key_len) % PLACES];
	while (*from != at) from = &records[*from].next;
	*from = r->next;
	if (!FAULT(stats_deleted_stay)) stored--;
	stored_bytes -= r->key_len + r->value_len;
	spent -= cost(r->key_len, r->value_len);
	discard(at, leaks);
}

// stage makes a record that no operation sees yet. 0 = no room.
static u32 stage(const u8 *key, u32 key_len, const u8 *value, u32 value_len, i64 expires) {
	if (!free_place && used + 1 >= room) {
		u32 more = room ? 2 * room : 64;
		struct record *larger = take(more * sizeof *records);
		if (!larger) return 0;
		if (records) copy(larger, records, room * sizeof *records);
		give(records, room * sizeof *records);
		records = larger;
		room = more;
	}
	struct record r = {.key = take(key_len), .key_len = key_len, .value_len = value_len, .expires = expires};
	if (FAULT(value_16_bits)) r.value_len &= 0xffff;
	if (FAULT(value_padded) && value_len < 8) r.value_len = 8;
	if (FAULT(value_text))
		for (u32 i = 8; i < value_len; i++)
			if (!value[i]) {
				r.value_len = i;
				break;
			}
	if (FAULT(expiry_32_bits) && expires) r.expires = (u32)expires ? (u32)expires : 1;
	if (FAULT(value_2048) && value_len == 2048) r.value_len--;
	if (FAULT(value_half_mib) && value_len == 1 << 19) r.value_len--;
	r.value = FAULT(value_not_copied) ? (u8 *)value : take(r.value_len > value_len ? r.value_len : value_len);
	if (!r.key || !r.value) {
		give(r.key, key_len);
		give(r.value, r.value_len);
		return 0;
	}
	copy(r.key, key, key_len);
	if (FAULT(value_padded)) fill(r.value, 0, 8);
	if (!FAULT(value_not_copied)) copy(r.value, value, value_len < r.value_len ? value_len : r.value_len);
	u32 at = free_place;
	if (at) free_place = records[at].next;
	else at = ++used;
	records[at] = r;
	return at;
}

// What commit must forget about an overwritten record, besides the room that it
// took.
static int keeps_count(const struct record *old, const struct record *new) {
	if (FAULT(space_overwrite)) return 1;
	return FAULT(space_shrink) && new->value_len < old->value_len;
}

// commit puts a staged record in place of the one with the same key. It cannot
// fail.
static void commit(u32 staged) {
	struct record *new = &records[staged];
	u32 at = find(new->key, new->key_len);
	last_written = at ? at : staged;
	if (!at || FAULT(stats_counts_writes)) stored++;
	if (at && FAULT(stats_evicts)) evicted++;
	new->written = ++writes;
	spent += cost(new->key_len, new->value_len);
	if (at && !keeps_count(&records[at], new)) spent -= cost(records[at].key_len, records[at].value_len);
	stored_bytes += new->value_len;
	if (!at) {
		stored_bytes += new->key_len;
		u32 *first = &index_of[hash(new->key, new->key_len) % PLACES];
		new->next = *first;
		*first = staged;
		return;
	}
	struct record *old = &records[at], before = *old;
	u32 value_len = new->value_len;
	if (FAULT(value_longer_stays) && before.value_len > value_len) value_len = before.value_len;
	if (FAULT(value_truncated) && before.value_len < value_len) value_len = before.value_len;
	if (FAULT(value_first_stays) && before.value_len == value_len) copy(new->value, before.value, value_len);
	if (value_len > new->value_len) { // the block must hold it
		u8 *longer = take(value_len);
		if (longer) {
			copy(longer, before.value, value_len);
			copy(longer, new->value, new->value_len);
			give(new->value, new->value_len);
			new->value = longer;
		}
	}
	stored_bytes += value_len - new->value_len - before.value_len;
	old->value = new->value;
	old->value_len = value_len;
	old->expires = new->expires;
	old->written = new->written;
	if (FAULT(expiry_kept) || (FAULT(expiry_never_kept) && !new->expires)) old->expires = before.expires;
	new->value = before.value;
	new->value_len = before.value_len;
	if (KEEPS_PREVIOUS) {
		give(previous.value, previous.value_len);
		previous = before;
		previous_of = at;
		new->value = 0;
	}
	discard(staged, FAULT(overwrite_leaks));
}
