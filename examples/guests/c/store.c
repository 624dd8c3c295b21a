// store.c - a storage plugin for Waddle in C that keeps sessions in memory.
//
// A host calls the functions marked EXPORT, one at a time, so there are no locks.
// It passes keys and values in one buffer, which it gets from session_alloc.
// Answers tell it where in memory to find bytes. No function reads a clock: each
// call carries the time.
//
// Records lie in one list, and a hash table finds them by key. The host limits
// memory: malloc returns NULL when there is no more. The answer then is NO_SPACE,
// unless expired records can be dropped.
#include <stdbool.h>
#include <stdlib.h>

#include "waddle.h"

#define NAME "example-store"
#define VERSION "1.0.0"
#define MAX_KEY 1024
#define MAX_VALUE 1048576

enum {
	CHUNK = 64 << 10,  // the size at which a chunk of keys or records ends
	CURSOR = 8,        // bytes before a chunk
	HEADER = 16,       // bytes before each record of a list
};

struct record {
	struct record *next;  // of the same bucket
	int64_t expires_ms;
	uint32_t hash;
	uint32_t place;  // index in records
	uint32_t key_len, value_len;
	uint8_t bytes[];  // the key, then the value
};

// The records without gaps, in no particular order, and the buckets of the hash
// table: as many as there is room for records, a power of two.
static struct record **records, **buckets;
static uint32_t count, capacity;

static uint32_t max_records = UINT32_MAX;

// No record expires before soonest: until then there is no point in looking for
// expired ones.
static int64_t soonest = INT64_MAX;

// Where session_sweep continues: it has yet to look at this many.
static uint32_t unswept;

// The exchange buffer, which the host writes to and in which lists are built. It
// never becomes smaller: the largest record came in through it, and fits with what
// precedes it in a list.
static uint8_t *exchange;
static uint32_t exchange_size;

// ---- The hash table ---------------------------------------------------------

// FNV-1a. The keys of sessions are hashes of random numbers: nobody can choose
// many that fall into one bucket.
static uint32_t hash_of(const uint8_t *key, uint32_t length) {
	uint32_t hash = 2166136261u;
	for (uint32_t i = 0; i < length; i++) hash = (hash ^ key[i]) * 16777619u;
	return hash;
}

// find returns the record under a key, expired or not, or NULL.
static struct record *find(const uint8_t *key, uint32_t key_len) {
	if (capacity == 0) return NULL;
	uint32_t hash = hash_of(key, key_len);
	struct record *r = buckets[hash & (capacity - 1)];
	while (r && !(r->hash == hash && r->key_len == key_len && memcmp(r->bytes, key, key_len) == 0)) r = r->next;
	return r;
}

static struct record *find_live(const uint8_t *key, uint32_t key_len, int64_t now_ms) {
	struct record *r = find(key, key_len);
	return r && !expired(r->expires_ms, now_ms) ? r : NULL;
}

static void link_record(struct record *r) {
	struct record **bucket = &buckets[r->hash & (capacity - 1)];
	r->next = *bucket;
	*bucket = r;
}

static void unlink_record(struct record *r) {
	struct record **at = &buckets[r->hash & (capacity - 1)];
	while (*at != r) at = &(*at)->next;
	*at = r->next;
}

// drop removes a record. The last of the list moves to its place.
static void drop(struct record *r) {
	unlink_record(r);
	struct record *last = records[--count];
	last->place = r->place;
	records[r->place] = last;
	free(r);
}

// drop_expired removes all expired records and returns how many there were.
static uint32_t drop_expired(int64_t now_ms) {
	if (now_ms < soonest) return 0;
	uint32_t before = count;
	soonest = INT64_MAX;
	for (uint32_t i = count; i-- > 0;) {
		int64_t expires_ms = records[i]->expires_ms;
		if (expired(expires_ms, now_ms)) {
			drop(records[i]);
		} else if (expires_ms != 0 && expires_ms < soonest) {
			soonest = expires_ms;
		}
	}
	return before - count;
}

// has_room makes room in the list and the table for this many new keys.
static bool has_room(uint32_t new_keys) {
	if (new_keys > max_records - count) return false;
	if (new_keys <= capacity - count) return true;
	uint32_t wanted = capacity ? capacity : 64;
	while (wanted - count < new_keys) wanted *= 2;
	struct record **new_buckets = calloc(wanted, sizeof *buckets);
	struct record **new_records = realloc(records, wanted * sizeof *records);
	if (new_records) records = new_records;
	if (!new_buckets || !new_records) {
		free(new_buckets);
		return false;
	}
	free(buckets);
	buckets = new_buckets;
	capacity = wanted;
	for (uint32_t i = 0; i < count; i++) link_record(records[i]);
	return true;
}

// new_record copies key and value, which lie one after the other. It returns NULL
// if there is no memory.
static struct record *new_record(const uint8_t *key, uint32_t key_len, uint32_t value_len, int64_t expires_ms) {
	struct record *r = malloc(sizeof *r + key_len + value_len);
	if (!r) return NULL;
	*r = (struct record){.hash = hash_of(key, key_len), .key_len = key_len, .value_len = value_len, .expires_ms = expires_ms};
	memcpy(r->bytes, key, key_len + value_len);
	return r;
}

// put stores a record, replacing the one with the same key. The caller has called
// has_room, so it cannot fail.
static void put(struct record *r) {
	struct record *old = find(r->bytes, r->key_len);
	if (old) {
		unlink_record(old);
		r->place = old->place;
		free(old);
	} else {
		r->place = count++;
	}
	records[r->place] = r;
	link_record(r);
	if (r->expires_ms != 0 && r->expires_ms < soonest) soonest = r->expires_ms;
}

// ---- Settings ---------------------------------------------------------------

// refuse returns INVALID and says which setting is wrong, what its value is, if that is
// not NULL, and why. It shows the first 100 bytes of the name and of the value.
static int64_t refuse(const char *name, const char *value, const char *why) {
	static char message[512];
	const char *const parts[] = {"the setting ", name, value ? " is \"" : " ", value ? value : "", value ? "\": " : "", why};
	size_t used = 0;
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		const char *part = parts[i];
		for (size_t n = 0; part[n] && n < 100; n++) message[used++] = part[n];
	}
	message[used] = 0;
	return fail(INVALID, message);
}

// number reads a whole number from 1 on, of up to nine digits, or returns 0.
static uint32_t number(const char *text) {
	uint32_t n = 0;
	if (strlen(text) > 9) return 0;
	for (; *text; text++) {
		if (*text < '0' || *text > '9') return 0;
		n = n * 10 + (uint32_t)(*text - '0');
	}
	return n;
}

// The settings come as alternating names and values, each ended by a NUL.
EXPORT("session_open") int64_t session_open(const char *config, uint32_t length) {
	const char *most = NULL, *end = config + length;
	uint32_t shards = 1;
	if (length > 0 && end[-1] != 0) return fail(INVALID, "the config does not end with a NUL");
	while (config < end) {
		const char *name = config, *value = name + strlen(name) + 1;
		if (value >= end) return fail(INVALID, "the config has a name without a value");
		config = value + strlen(value) + 1;
		if (strcmp(name, "max_records") == 0) {
			most = value;
		} else if (strcmp(name, "shards") == 0) {
			shards = number(value);
		} else if (strcmp(name, "shard") != 0 && strcmp(name, "memory_limit") != 0 && strncmp(name, "host_", 5) != 0) {
			return refuse(name, NULL, "is unknown: this engine has max_records");
		}
	}
	if (most) {
		// It is for all shards together, and this instance is one of them.
		max_records = shards ? number(most) / shards : 0;
		if (max_records == 0) {
			return refuse("max_records", most, "must be a whole number up to 999999999, and at least 1 for each shard");
		}
	}
	return 0;
}

// ---- What a host calls ------------------------------------------------------

EXPORT("session_abi_v1") void session_abi_v1(void) {}  // the marker; never called

#define TEXT_OF(number) #number
#define DECIMAL(number) TEXT_OF(number)

EXPORT("session_describe") int64_t session_describe(void) {
	static const char description[] =
		"name\0" NAME "\0version\0" VERSION "\0capabilities\0cas\0"
		"max_key\0" DECIMAL(MAX_KEY) "\0max_value\0" DECIMAL(MAX_VALUE);
	return region(description, sizeof description);  // C adds the last NUL
}

EXPORT("session_alloc") void *session_alloc(uint32_t size) {
	// Two sizes are enough: one for chunks and most values, one for the largest
	// record.
	uint32_t wanted = (size <= CHUNK ? CHUNK : MAX_KEY + MAX_VALUE) + CURSOR + HEADER;
	if (size > wanted) return NULL;
	if (wanted > exchange_size) {
		uint8_t *buffer = malloc(wanted);
		if (!buffer) return NULL;
		free(exchange);
		exchange = buffer;
		exchange_size = wanted;
	}
	return exchange;
}

EXPORT("session_get") int64_t session_get(const uint8_t *key, uint32_t key_len, int64_t now_ms) {
	struct record *r = find_live(key, key_len, now_ms);
	return r ? region(r->bytes + r->key_len, r->value_len) : NOT_FOUND;
}

static int64_t check_size(uint32_t key_len, uint32_t value_len) {
	if (key_len == 0) return fail(INVALID, "the key is empty");
	if (key_len > MAX_KEY) return fail(TOO_LARGE, "the key is longer than " DECIMAL(MAX_KEY) " bytes");
	if (value_len > MAX_VALUE) return fail(TOO_LARGE, "the value is longer than " DECIMAL(MAX_VALUE) " bytes");
	return 0;
}

static int64_t full(void) { return fail(NO_SPACE, "the store is full: raise max_records or the memory limit"); }

EXPORT("session_set")
int64_t session_set(const uint8_t *key, uint32_t key_len, const uint8_t *value, uint32_t value_len,
                    int64_t expires_ms, int64_t now_ms, int64_t expect) {
	(void)value;  // it lies directly behind the key
	int64_t code = check_size(key_len, value_len);
	if (code < 0) return code;

	struct record *old = find_live(key, key_len, now_ms);
	if (expect == EXPECT_ABSENT) {
		if (old) return CONFLICT;
	} else if (expect != EXPECT_ANY) {
		if (!old || revision(old->bytes + old->key_len, old->value_len) != expect) return CONFLICT;
	}

	if (expired(expires_ms, now_ms)) {  // it would already have expired
		if (old) drop(old);
		return 0;
	}
	do {
		if (!has_room(find(key, key_len) ? 0 : 1)) continue;
		struct record *r = new_record(key, key_len, value_len, expires_ms);
		if (r) {
			put(r);
			return 0;
		}
	} while (drop_expired(now_ms) > 0);
	return full();
}

EXPORT("session_touch")
int64_t session_touch(const uint8_t *key, uint32_t key_len, int64_t expires_ms, int64_t now_ms) {
	struct record *r = find_live(key, key_len, now_ms);
	if (!r) return NOT_FOUND;
	if (expired(expires_ms, now_ms)) {
		drop(r);
		return 0;
	}
	r->expires_ms = expires_ms;
	if (expires_ms != 0 && expires_ms < soonest) soonest = expires_ms;
	return 0;
}

EXPORT("session_delete") int64_t session_delete(const uint8_t *key, uint32_t key_len, int64_t now_ms) {
	(void)now_ms;
	struct record *r = find(key, key_len);
	if (r) drop(r);
	return 0;
}

EXPORT("session_clear") int64_t session_clear(int64_t now_ms) {
	(void)now_ms;
	while (count > 0) drop(records[count - 1]);
	soonest = INT64_MAX;
	return 0;
}

// There is nothing to write.
EXPORT("session_save") int64_t session_save(int64_t now_ms) {
	drop_expired(now_ms);
	return 0;
}

// This function and the two below go through the list from its end. When a record
// is removed, the last one moves to its place. That one may then be seen twice,
// but none is missed.
EXPORT("session_sweep") int64_t session_sweep(int64_t now_ms, uint32_t max) {
	int64_t removed = 0;
	for (uint32_t looks = max < count ? max : count; looks > 0; looks--) {
		if (unswept == 0 || unswept > count) unswept = count;
		struct record *r = records[--unswept];
		if (expired(r->expires_ms, now_ms)) {
			drop(r);
			removed++;
		}
	}
	return removed;
}

// A cursor is the number of records still to be seen; the first one is 0.
static uint32_t begin(int64_t cursor) {
	return cursor == 0 || cursor > count ? count : (uint32_t)cursor;
}

// end writes the cursor of the next call in front of a chunk.
static int64_t end(uint64_t cursor, uint32_t used) {
	memcpy(exchange, &cursor, CURSOR);
	return region(exchange, used);
}

// no_room reports whether a chunk must end before n more bytes. An empty one takes
// any entry.
static bool no_room(uint32_t used, uint32_t n) { return used > CURSOR && used + n > CHUNK; }

EXPORT("session_keys") int64_t session_keys(int64_t cursor, int64_t now_ms) {
	if (cursor < 0) return fail(INVALID, "the cursor is negative");
	uint32_t unseen = begin(cursor), used = CURSOR;
	for (; unseen > 0; unseen--) {
		const struct record *r = records[unseen - 1];
		if (expired(r->expires_ms, now_ms)) continue;
		if (no_room(used, 4 + r->key_len)) break;
		memcpy(exchange + used, &r->key_len, 4);
		memcpy(exchange + used + 4, r->bytes, r->key_len);
		used += 4 + r->key_len;
	}
	return end(unseen, used);
}

EXPORT("session_snapshot") int64_t session_snapshot(int64_t cursor, int64_t now_ms) {
	if (cursor < 0) return fail(INVALID, "the cursor is negative");
	uint32_t unseen = begin(cursor), used = CURSOR;
	for (; unseen > 0; unseen--) {
		const struct record *r = records[unseen - 1];
		uint32_t length = r->key_len + r->value_len;
		if (expired(r->expires_ms, now_ms)) continue;
		if (no_room(used, HEADER + length)) break;
		uint8_t *to = exchange + used;
		memcpy(to, &r->key_len, 4);
		memcpy(to + 4, &r->value_len, 4);
		memcpy(to + 8, &r->expires_ms, 8);
		memcpy(to + HEADER, r->bytes, length);
		used += HEADER + length;
	}
	return end(unseen, used);
}

// free_list frees records that have not been put.
static void free_list(struct record *r) {
	while (r) {
		struct record *next = r->next;
		free(r);
		r = next;
	}
}

// copy_list makes records from a list. If there is no room for them all, it
// returns false and has changed nothing.
static bool copy_list(const uint8_t *at, const uint8_t *end, int64_t now_ms, struct record **copies) {
	struct record **tail = copies;
	uint32_t new_keys = 0;
	*copies = NULL;
	while (at < end) {
		uint32_t key_len, value_len;
		int64_t expires_ms;
		memcpy(&key_len, at, 4);
		memcpy(&value_len, at + 4, 4);
		memcpy(&expires_ms, at + 8, 8);
		at += HEADER;
		if (!expired(expires_ms, now_ms)) {
			*tail = new_record(at, key_len, value_len, expires_ms);
			if (!*tail) break;
			tail = &(*tail)->next;
			if (!find(at, key_len)) new_keys++;
		}
		at += key_len + value_len;
	}
	if (at == end && has_room(new_keys)) return true;
	free_list(*copies);
	return false;
}

// The whole list is stored or, on an error, nothing: it is checked first, then
// copied, and only then put.
EXPORT("session_restore") int64_t session_restore(const uint8_t *list, uint32_t length, int64_t now_ms) {
	const uint8_t *end = list + length;
	for (const uint8_t *at = list; at < end;) {
		uint32_t key_len, value_len;
		if (end - at < HEADER) return fail(INVALID, "the list ends within a record");
		memcpy(&key_len, at, 4);
		memcpy(&value_len, at + 4, 4);
		at += HEADER;
		if ((uint64_t)key_len + value_len > (uint64_t)(end - at)) return fail(INVALID, "the list ends within a record");
		int64_t code = check_size(key_len, value_len);
		if (code < 0) return code;
		at += key_len + value_len;
	}
	struct record *copies;
	while (!copy_list(list, end, now_ms, &copies)) {
		if (drop_expired(now_ms) == 0) return full();
	}
	while (copies) {
		struct record *r = copies;
		copies = r->next;
		put(r);
	}
	return 0;
}
