// The guests of designs.h: guest.c without a fault, with other functions in
// front of its exports. A design passes straight on what it does not change.
#define EXPORT(name) name
#ifdef DESIGN_file_unsupported
#define DESIGN_unsupported
#endif
#if defined(DESIGN_bare) || defined(DESIGN_no_touch) || defined(DESIGN_unsupported)
#define MAX_KEY 1024 // a guest that describes no limits has those of the page
#define MAX_VALUE (16 << 20)
#endif
#include "guest.c"
#include "designs.h"

#define IS(name) (DESIGN == name)
#define AS(name) __attribute__((export_name(#name))) i64 outer_##name
enum { REMOVES_ON_READ = IS(removes_on_read) || IS(file_removes_on_read) };
enum { PURGES = IS(purges_always) || IS(file_purges_always) };
enum { MOST = IS(evicts_at_200) || IS(refuses_at_200) ? 200 : IS(evicts_half) ? 100 : IS(evicts_at_16) ? 16 : IS(file_refuses_at_40) ? 40 : IS(divides_24) ? 24 : 0 };
enum { REFUSES = IS(refuses_at_200) || IS(file_refuses_at_40) || IS(divides_24), EVICTS = MOST != 0 && !REFUSES };
enum { ORDERED = IS(last_used_first) || IS(random_order) || IS(names_twice) };
enum { KEY_LIMIT = IS(tiny) ? 64 : IS(odd_limits) ? 100 : MAX_KEY, VALUE_LIMIT = IS(tiny) ? 4096 : IS(odd_limits) ? 5000 : MAX_VALUE };

static u32 calls, memory_limit;

// most_here is how many records this instance takes.
static u32 most_here(void) { return IS(divides_24) ? MOST / number(shards) : MOST; }

// When each record was used last, by its place.
enum { STAMPS = 1 << 16 };
static u32 stamps[STAMPS], tick;

static void stamp(u32 at) { if (at) stamps[at % STAMPS] = ++tick; }

static void work(u32 units) {
	for (volatile u32 i = 0; i < units * 1000; i++);
}

static void purge(i64 now) {
	for (u32 at = 1; at <= used; at++)
		if (records[at].key && !alive(&records[at], now)) {
			drop(at, 0);
			expired++;
			dirty = 1;
		}
}

// enter is called before each operation that has a time.
static void enter(i64 now) {
	if (IS(slow)) work(2);
	if (PURGES) purge(now);
	if (IS(logs_every_call)) {
		IMPORT("waddle_v1", log) void log_line(int level, const char *line, u32 len);
		log_line(0, "called", 6);
	}
	if (IS(grows_slowly) && ++calls % 512 == 0 && (u64)__builtin_wasm_memory_size(0) * PAGE < memory_limit / 2)
		__builtin_wasm_memory_grow(0, 1);
}

// answer puts an operation's result where the design wants it.
static i64 answer(i64 result) {
	static u8 *arena;
	static u32 at;
	enum { ARENA = 4 << 20 };
	u32 len = (u32)result;
	if (result < 0) return result;
	if (IS(overlapping) && len && len <= exchange_size) {
		copy(exchange, (const u8 *)(u32)(result >> 32), len);
		return region(exchange, len);
	}
	if (!IS(ascending) || len > ARENA / 2) return result;
	if (!arena && !(arena = take(ARENA))) return NO_SPACE;
	if (at + len > ARENA) at = 0;
	u8 *to = arena + at;
	copy(to, (const u8 *)(u32)(result >> 32), len);
	at += len + 1;
	return region(to, len);
}

// evict makes room after a record was stored.
static void evict(void) {
	u32 most = MOST;
	for (int first = 1; stored > most; first = 0) {
		u32 oldest = 0;
		for (u32 at = 1; at <= used; at++)
			if (records[at].key && (!oldest || stamps[at % STAMPS] < stamps[oldest % STAMPS])) oldest = at;
		drop(oldest, 0);
		evicted++;
		if (first && IS(evicts_half)) most /= 2;
	}
}

__attribute__((export_name("session_abi_v1"))) void outer_marker(void) {}

__attribute__((export_name("session_alloc"))) u8 *outer_alloc(u32 size) {
	static u8 fixed[8192];
	if (IS(tiny)) return size <= sizeof fixed ? fixed : 0;
	if (!IS(ascending)) return session_alloc(size);
	u8 *old = exchange;
	u32 old_size = exchange_size;
	exchange = 0;
	u8 *new = session_alloc(size);
	give(old, old_size);
	return new;
}

AS(session_open)(const char *config, u32 len) {
	for (const char *at = config; at && at < config + len; at = next_text((char *)at, config + len))
		if (is(at, "memory_limit"))
			for (at += length(at) + 1; *at >= '0' && *at <= '9'; at++) memory_limit = memory_limit * 10 + (u32)(*at - '0');
	return session_open(config, len);
}

AS(session_get)(const u8 *key, u32 key_len, i64 now) {
	enter(now);
	u32 at = find(key, key_len);
	if (REMOVES_ON_READ && at && !alive(&records[at], now)) {
		drop(at, 0);
		expired++;
		dirty = 1;
		return NOT_FOUND;
	}
	stamp(at);
	return answer(session_get(key, key_len, now));
}

AS(session_set)(const u8 *key, u32 key_len, const u8 *value, u32 value_len, i64 expires, i64 now, i64 expect) {
	enter(now);
	if (key_len > KEY_LIMIT || value_len > VALUE_LIMIT) return TOO_LARGE;
	if (IS(no_cas)) expect = EXPECT_ANY;
	int past = expires != 0 && expires <= now;
	if (REFUSES && !past && (expect == EXPECT_ANY || expect == EXPECT_ABSENT) && !find(key, key_len) && stored >= most_here()) {
		purge(now); // room can be made
		if (stored >= most_here()) return NO_SPACE;
	}
	i64 result = session_set(key, key_len, value, value_len, expires, now, expect);
	stamp(find(key, key_len));
	if (EVICTS) evict();
	return result;
}

AS(session_delete)(const u8 *key, u32 key_len, i64 now) {
	enter(now);
	return session_delete(key, key_len, now);
}

AS(session_clear)(i64 now) {
	enter(now);
	return session_clear(now);
}

AS(session_save)(i64 now) {
	enter(now);
	if (IS(file_slow)) work(20 * stored);
	return session_save(now);
}

#ifndef DESIGN_bare

#ifdef DESIGN_unsupported
#define OR_NOT(call) UNSUPPORTED
#else
#define OR_NOT(call) call
#endif

#ifndef DESIGN_no_touch
AS(session_describe)(void) {
	if (IS(unsupported) || IS(file_unsupported)) return UNSUPPORTED;
	static const char small[] = "capabilities\0cas\0max_key\00064\0max_value\0004096";
	static const char odd[] = "max_value\0005000\0capabilities\0cas\0max_key\000100\0later\0what nobody knows yet";
	static const char no_cas_here[] = "name\0no_cas\0capabilities\0\0max_key\000512\0max_value\0001048576";
	if (IS(tiny)) return region(small, sizeof small);
	if (IS(odd_limits)) return region(odd, sizeof odd);
	if (IS(no_cas)) return region(no_cas_here, sizeof no_cas_here);
	return answer(session_describe());
}

AS(session_touch)(const u8 *key, u32 key_len, i64 expires, i64 now) {
	(void)expires;
	enter(now);
	stamp(find(key, key_len));
	return OR_NOT(session_touch(key, key_len, expires, now));
}

AS(session_sweep)(i64 now, u32 max) {
	(void)max;
	if (!PURGES) enter(now);
	if (!IS(sweeps_singly)) return OR_NOT(session_sweep(now, max));
	for (u32 at = 1; at <= used; at++)
		if (records[at].key && !alive(&records[at], now)) {
			drop(at, 0);
			expired++;
			dirty = 1;
			return 1;
		}
	return 0;
}
#endif

AS(session_flush)(i64 now, u32 max) {
	(void)max;
	enter(now);
	if (!IS(flushes_at_once)) return OR_NOT(session_flush(now, max));
	i64 result = session_save(now);
	return result < 0 ? result : 0;
}

AS(session_stats)(void) {
	i64 result = OR_NOT(session_stats());
	if (!IS(odd_limits)) return result;
	static u8 list[64];
	u8 *end = pair(list, "records", stored);
	end = pair(end, "bytes", (stored_bytes + PAGE - 1) / PAGE * PAGE);
	return region(list, (u32)(end - list));
}

// An enumeration goes through a list of places that is made when it begins.
// Several are kept, so that others may begin meanwhile.
static struct { u32 *places, n; } lists[8];
static u32 list_of_now;

static u32 rank(u32 at) {
	if (IS(random_order)) return (at * 2654435761u ^ tick * 40503u) * 2246822519u;
	return IS(last_used_first) ? ~stamps[at % STAMPS] : at;
}

static i64 begin_list(void) {
	list_of_now = (list_of_now + 1) % (sizeof lists / sizeof *lists);
	u32 times = IS(names_twice) ? 2 : 1, n = 0;
	give(lists[list_of_now].places, lists[list_of_now].n * sizeof(u32));
	lists[list_of_now].n = 0;
	u32 *places = lists[list_of_now].places = take(stored * times * sizeof(u32));
	if (!places) return NO_SPACE;
	for (u32 turn = 0; turn < times; turn++)
		for (u32 at = 1; at <= used; at++) {
			if (!records[at].key) continue;
			u32 i = n++;
			for (; turn == 0 && i && rank(places[i - 1]) > rank(at); i--) places[i] = places[i - 1];
			places[i] = at;
		}
	lists[list_of_now].n = stored * times;
	tick++;
	return OK;
}

static i64 in_order(i64 cursor, i64 now, enum kind kind) {
	if (!cursor && begin_list()) return UNAVAILABLE;
	u32 which = cursor ? (u32)(cursor >> 32) - 1 : list_of_now, from = (u32)cursor, to, size = 8;
	for (to = from; to < lists[which].n && size < CHUNK; to++) {
		u32 at = lists[which].places[to];
		if (listed(at, now, kind)) size += HEADER + records[at].key_len + (kind == KEYS ? 0 : records[at].value_len);
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
	for (u32 i = from; i < to; i++)
		if (listed(lists[which].places[i], now, kind)) end = entry(end, lists[which].places[i], kind);
	put64(chunk, to < lists[which].n ? (i64)(which + 1) << 32 | to : 0);
	return region(chunk, (u32)(end - chunk));
}

AS(session_keys)(i64 cursor, i64 now) {
	enter(now);
	return ORDERED ? in_order(cursor, now, KEYS) : answer(OR_NOT(session_keys(cursor, now)));
}

AS(session_snapshot)(i64 cursor, i64 now) {
	enter(now);
	return ORDERED ? in_order(cursor, now, SNAPSHOT) : answer(OR_NOT(session_snapshot(cursor, now)));
}

AS(session_restore)(const u8 *list, u32 len, i64 now) {
	enter(now);
	u32 new = 0, n = 0;
	for (const u8 *at = list, *next; at < list + len && (next = cut(at, list + len)); at = next, n++) {
		if (get32(at) > KEY_LIMIT || get32(at + 4) > VALUE_LIMIT) return TOO_LARGE;
		new += !find(at + HEADER, get32(at));
	}
	if (IS(slow)) work(150 * n);
	if (REFUSES && stored + new > most_here()) {
		purge(now);
		if (stored + new > most_here()) return NO_SPACE;
	}
	i64 result = OR_NOT(session_restore(list, len, now));
	for (const u8 *at = list; !result && at < list + len; at = cut(at, list + len)) stamp(find(at + HEADER, get32(at)));
	if (EVICTS) evict();
	return result;
}
#endif
