// The file of a shard: a list of records in the form of a snapshot. A save writes
// a new file and then replaces the old one.
#pragma once
#include "reshard.h"

#define WASI(name) IMPORT("wasi_snapshot_preview1", name) int name

WASI(path_open)(int dir, u32 follow, const char *path, u32 len, u32 how, u64 rights, u64 inherited, u32 flags, int *file);
WASI(path_unlink_file)(int dir, const char *path, u32 len);
WASI(path_rename)(int dir, const char *from, u32 from_len, int to_dir, const char *to, u32 to_len);
WASI(fd_read)(int file, const struct part *parts, u32 n, u32 *done);
WASI(fd_write)(int file, const struct part *parts, u32 n, u32 *done);
WASI(fd_filestat_get)(int file, u8 *stat);
WASI(fd_sync)(int file);
WASI(fd_close)(int file);

enum { DIR = 3, CREATE = 1, TRUNCATE = 8, APPEND = 1, NOENT = 44, NOSPC = 51, DQUOT = 19 };
enum { SIZE = 32 }; // the offset of the size in a file's status
enum { APPENDS = FAULT(file_appends) || FAULT(file_old_wins) };

static i64 code(int errno) { return errno == NOSPC || errno == DQUOT ? NO_SPACE : UNAVAILABLE; }

static int open_file(const char *path, u32 how, int *file) {
	u64 rights = 1 << 0 | 1 << 1 | 1 << 6 | 1 << 21; // data sync, read, write, status
	return path_open(DIR, 0, path, length(path), how, rights, rights, how && APPENDS ? APPEND : 0, file);
}

static void name_file(char *to, const char *number, const char *ending) {
	if (FAULT(file_shared)) number = "all";
	if (NUMBERED) {
		copy(to, generation, length(generation));
		to += length(generation);
		*to++ = '-';
	}
	copy(to, number, length(number));
	copy(to + length(number), ending, length(ending) + 1);
}

static i64 read_file(const char *number) {
	char path[32];
	name_file(path, number, ".records");
	int file, errno = open_file(path, 0, &file);
	if (errno == NOENT) return OK;
	if (errno) return code(errno);
	u8 stat[64];
	i64 answer = UNAVAILABLE;
	if (!fd_filestat_get(file, stat)) {
		u32 size = get32(stat + SIZE), have = 0, done = 1;
		u8 *list = take(size);
		while (list && have < size && done) {
			struct part rest = {list + have, size - have};
			if (fd_read(file, &rest, 1, &done)) break;
			have += done;
		}
		// Records that have expired meanwhile are kept until their time is asked
		// for.
		reading = 1;
		if (list && have == size) answer = take_list(list, size, 0) == OK ? OK : CORRUPT;
		reading = 0;
		give(list, size);
	}
	fd_close(file);
	return answer;
}

static int write_all(int file, const u8 *from, u32 len) {
	while (len) {
		struct part rest = {from, len};
		u32 done;
		int errno = fd_write(file, &rest, 1, &done);
		if (errno) return errno;
		from += done;
		len -= done;
	}
	return 0;
}

static i64 write_list(int file, i64 now) {
	for (i64 cursor = 0;;) {
		if (FAULT(file_first_thousand) && cursor >= 1000) return OK;
		i64 answer = next_chunk(cursor, now, SAVED);
		if (answer < 0) return answer;
		int errno = write_all(file, chunk + 8, (u32)answer - 8);
		if (errno) return code(errno);
		if (!(cursor = get64(chunk))) return OK;
	}
}

static i64 write_file(i64 now) {
	static int saved;
	if (!dirty || (FAULT(file_once) && saved)) return OK;
	u32 n = 0;
	for (u32 at = 1; at <= used; at++) n += listed(at, now, SAVED);
	if (FAULT(file_empty_refused) && n == 0) return NO_SPACE;
	char path[32], beside[32];
	name_file(path, shard, ".records");
	name_file(beside, shard, APPENDS ? ".records" : ".new");
	int file, errno = open_file(beside, APPENDS ? CREATE : CREATE | TRUNCATE, &file);
	if (errno) return code(errno);
	i64 answer = write_list(file, now);
	errno = fd_sync(file);
	if (!errno) errno = fd_close(file);
	else fd_close(file);
	if (!errno && !answer && !APPENDS) errno = path_rename(DIR, beside, length(beside), DIR, path, length(path));
	if (errno) return code(errno);
	if (answer) return answer;
	dirty = 0;
	saved = 1;
	if (FAULT(file_drops_saved))
		for (u32 at = 1; at <= used; at++)
			if (records[at].key) drop(at, 0);
	return OK;
}

// note_shards writes down how many shards the files are for, first to a temporary
// file.
static i64 note_shards(void) {
	int file, errno = open_file("shards.new", CREATE | TRUNCATE, &file);
	if (errno) return code(errno);
	errno = write_all(file, (const u8 *)shards, length(shards));
	if (!errno) errno = fd_sync(file);
	fd_close(file);
	if (!errno) errno = path_rename(DIR, "shards.new", 10, DIR, "shards", 6);
	return errno ? code(errno) : OK;
}

// noted_shards reads it; nothing if there is nothing.
static i64 noted_shards(char *number, u32 room) {
	int file, errno = open_file("shards", 0, &file);
	*number = 0;
	if (errno) return errno == NOENT ? OK : code(errno);
	struct part part = {number, room - 1};
	u32 done = 0;
	errno = fd_read(file, &part, 1, &done);
	fd_close(file);
	number[done] = 0;
	return errno ? code(errno) : OK;
}

static void forget(void) {
	for (u32 at = 1; at <= used; at++)
		if (records[at].key) drop(at, 0);
}

// divide writes the files of the current number of shards from those of the
// previous one. The old files stay until all new ones are there.
static i64 divide(char *before) {
	char *own = shard, of[8];
	u32 from = number(before), to = number(shards);
	i64 answer = OK;
	for (u32 i = 0; i < to && !answer; i++) {
		generation = before;
		for (u32 j = 0; j < from && !answer; j++)
			if (!FAULT(file_reshard_some) || !j) answer = read_file(digits(of, j));
		generation = shards;
		for (u32 at = 1; at <= used; at++) {
			struct record *r = &records[at];
			if (!r->key) continue;
			if (FAULT(file_reshard_expiry)) r->expires = 0;
			if (!FAULT(file_reshard_copies) && shard_of(r->key, r->key_len, to) != i) drop(at, 0);
		}
		shard = digits(of, i);
		char path[32];
		int there;
		name_file(path, shard, ".records");
		dirty = 1;
		if (FAULT(file_reshard_stale) && !open_file(path, 0, &there)) fd_close(there);
		else if (!answer) answer = write_file(0); // expired records are kept
		forget();
	}
	shard = own;
	if (!answer) answer = note_shards();
	generation = before;
	for (u32 j = 0; j < from && !answer && !FAULT(file_reshard_stale); j++) {
		char path[32];
		name_file(path, digits(of, j), ".records");
		path_unlink_file(DIR, path, length(path));
	}
	generation = shards;
	return answer;
}

// look_at_shards is for shard 0, which a host opens before the others.
static i64 look_at_shards(void) {
	static char before[8];
	i64 answer = noted_shards(before, sizeof before);
	if (answer || number(before) == number(shards)) return answer;
	if (!*before) return note_shards();
	if (FAULT(file_refuses_mute)) return UNAVAILABLE;
	if (FAULT(file_refuses)) return refuse("the files are for another number of shards: ", before);
	return divide(before);
}

static i64 read_files(void) {
	if (FAULT(file_unread)) return OK;
	generation = shards;
	if (NUMBERED && shard[0] == '0') {
		i64 answer = look_at_shards();
		if (answer) return answer;
	}
	if (!FAULT(file_other_shards)) return read_file(shard);
	for (u32 i = 0, n = number(shards); i < n; i++) {
		char of[8];
		i64 answer = read_file(digits(of, i));
		if (answer) return answer;
	}
	return OK;
}
