// The file of a shard: a list of records as a snapshot has it. A save writes it
// beside the one that is there and puts it in its place.
#pragma once
#include "chunks.h"

#define WASI(name) IMPORT("wasi_snapshot_preview1", name) int name
struct part { const void *at; u32 len; };

WASI(path_open)(int dir, u32 follow, const char *path, u32 len, u32 how, u64 rights, u64 inherited, u32 flags, int *file);
WASI(path_rename)(int dir, const char *from, u32 from_len, int to_dir, const char *to, u32 to_len);
WASI(fd_read)(int file, const struct part *parts, u32 n, u32 *done);
WASI(fd_write)(int file, const struct part *parts, u32 n, u32 *done);
WASI(fd_filestat_get)(int file, u8 *stat);
WASI(fd_sync)(int file);
WASI(fd_close)(int file);

enum { DIR = 3, CREATE = 1, TRUNCATE = 8, APPEND = 1, NOENT = 44, NOSPC = 51, DQUOT = 19 };
enum { SIZE = 32 }; // where a file's size is in what is known of it
enum { APPENDS = FAULT(file_appends) || FAULT(file_old_wins) };

static i64 code(int errno) { return errno == NOSPC || errno == DQUOT ? NO_SPACE : UNAVAILABLE; }

static int open_file(const char *path, u32 how, int *file) {
	u64 rights = 1 << 0 | 1 << 1 | 1 << 6 | 1 << 21; // data sync, read, write, status
	return path_open(DIR, 0, path, length(path), how, rights, rights, how && APPENDS ? APPEND : 0, file);
}

static void name_file(char *to, const char *number, const char *ending) {
	if (FAULT(file_shared)) number = "all";
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
		// Whatever has expired meanwhile is left in until its time is asked for.
		reading = 1;
		if (list && have == size) answer = take_list(list, size, 0) == OK ? OK : CORRUPT;
		reading = 0;
		give(list, size);
	}
	fd_close(file);
	return answer;
}

static i64 read_files(void) {
	if (FAULT(file_unread)) return OK;
	if (!FAULT(file_other_shards)) return read_file(shard);
	u32 n = 0;
	for (char *c = shards; *c; c++) n = n * 10 + (u32)(*c - '0');
	for (u32 i = 0; i < n; i++) {
		char number[8] = {0};
		u32 at = 0, unit = 1;
		while (unit * 10 <= i) unit *= 10;
		for (; unit; unit /= 10) number[at++] = (char)('0' + i / unit % 10);
		i64 answer = read_file(number);
		if (answer) return answer;
	}
	return OK;
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
