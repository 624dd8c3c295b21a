// redis.c - a storage plugin for Waddle in C that keeps sessions in Redis or Valkey.
//
// A host calls the functions marked EXPORT, one at a time. Each sends a command over one
// connection and waits for the answer: there are no threads. Any instance serves any key ("remote").
//
// A record is stored under the prefix and its key, as
//
//	8 bytes  when it expires, in milliseconds, 0 for never
//	8 bytes  a number that no other write has
//	         the value, of which the first 8 bytes are the revision
//
// The host's time decides what has expired. Redis removes it later, by its own clock.
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <wasi/api.h>

#include "waddle.h"

#define MAX_KEY 1024
#define MAX_VALUE 262144

enum {
	HEADER = 16,        // bytes of a record before its value
	ROOM = 8192,        // for what surrounds a record in a command or an answer
	MAX_LINE = 1024,    // of a line that Redis answers
	PAGE = 64,          // about how many keys one command looks at
	TIMEOUT_MS = 2000,  // of each wait for the server
	LATER_MS = 60000,   // after which Redis removes what has expired
};

#define LONGEST_MS (1LL << 40)  // beyond which Redis is not asked to remove anything

// Times are compared by their halves, since a number in Lua has 53 bits. LIVE says whether
// the record that begins with h is there at the time in ARGV[1].
#define LIVE \
	"local live = false " \
	"if #h >= 16 then " \
	"  local el, eh = struct.unpack('<I4i4', h) local nl, nh = struct.unpack('<I4i4', ARGV[1]) " \
	"  live = (el == 0 and eh == 0) or nh < eh or (nh == eh and nl < el) " \
	"end "

// ARGV: the time, the expected revision ('' for no record), after how long Redis removes it
// ('0' for never), the record ('' to remove it). A record with the same number is this write's
// own, of which the answer was lost.
static const char set_script[] =
	"local h = redis.call('GETRANGE', KEYS[1], 0, 23) " LIVE
	"if live and string.sub(h, 9, 16) == string.sub(ARGV[4], 9, 16) then return 1 end "
	"if ARGV[2] == '' then if live then return 0 end "
	"elseif not live or string.sub(string.sub(h, 17) .. string.rep('\\0', 8), 1, 8) ~= ARGV[2] then return 0 end "
	"if ARGV[4] == '' then redis.call('DEL', KEYS[1]) "
	"elseif ARGV[3] == '0' then redis.call('SET', KEYS[1], ARGV[4]) "
	"else redis.call('SET', KEYS[1], ARGV[4], 'PX', ARGV[3]) end "
	"return 1";

// ARGV: the time, when it is to expire ('' to remove it), after how long Redis removes it.
static const char touch_script[] =
	"local h = redis.call('GETRANGE', KEYS[1], 0, 15) " LIVE
	"if not live then return 0 end "
	"if ARGV[2] == '' then redis.call('DEL', KEYS[1]) return 1 end "
	"redis.call('SETRANGE', KEYS[1], 0, ARGV[2]) "
	"if ARGV[3] == '0' then redis.call('PERSIST', KEYS[1]) else redis.call('PEXPIRE', KEYS[1], ARGV[3]) end "
	"return 1";

static char address[512], prefix[128] = "waddle:", password[256];
static int32_t conn = -1;
static uint64_t number;  // of the next write

static uint8_t exchange[MAX_KEY + MAX_VALUE + ROOM];  // the host writes to it; chunks are built in it
static uint8_t out[MAX_VALUE + ROOM];                 // commands
static uint8_t in[MAX_VALUE + ROOM];                  // answers
static uint32_t out_used, in_used, in_taken;

// ---- Commands ---------------------------------------------------------------

static void add(const void *bytes, uint32_t n) {
	if (n > 0) memcpy(out + out_used, bytes, n);
	out_used += n;
}

static void add_length(char type, uint32_t n) {
	out_used += (uint32_t)sprintf((char *)out + out_used, "%c%u\r\n", type, n);
}

static void argument(const void *bytes, uint32_t n) {
	add_length('$', n), add(bytes, n), add("\r\n", 2);
}

static void text(const char *s) { argument(s, (uint32_t)strlen(s)); }

static void decimal(int64_t n) {
	char digits[24];
	argument(digits, (uint32_t)sprintf(digits, "%lld", (long long)n));
}

// begin begins a command with so many arguments.
static void begin(uint32_t arguments, const char *command) {
	add_length('*', arguments + 1);
	text(command);
}

// name is the argument that names a record.
static void name(const uint8_t *key, uint32_t key_len) {
	uint32_t n = (uint32_t)strlen(prefix);
	add_length('$', n + key_len), add(prefix, n), add(key, key_len), add("\r\n", 2);
}

static void begin_script(const char *script, uint32_t arguments, const uint8_t *key, uint32_t key_len, int64_t now_ms) {
	begin(4 + arguments, "EVAL");
	text(script), text("1"), name(key, key_len), argument(&now_ms, 8);
}

// removal_ms is after how long Redis may remove a record, 0 for never.
static int64_t removal_ms(int64_t expires_ms, int64_t now_ms) {
	int64_t ms;
	if (expires_ms == 0 || __builtin_sub_overflow(expires_ms, now_ms, &ms) || ms > LONGEST_MS) return 0;
	return ms + LATER_MS;
}

// ---- The connection ---------------------------------------------------------

static int64_t lost(int32_t error, const char *what) {
	char why[256];
	int n = snprintf(why, sizeof why, "%s: error %d of WASI ", what, -error);
	int32_t said = conn < 0 ? 0 : waddle_conn_error(conn, why + n, sizeof why - 1 - (uint32_t)n);
	why[n + (said > 0 ? said : 0)] = 0;
	if (conn >= 0) waddle_conn_close(conn);
	conn = -1;
	return fail(error == NET_DENIED ? DENIED : UNAVAILABLE, why);
}

static int64_t strange(void) { return lost(0, "the server answers what was not asked"); }

static int64_t send(const uint8_t *bytes, uint32_t n) {
	for (int32_t sent; n > 0; bytes += sent, n -= (uint32_t)sent) {
		sent = waddle_conn_write(conn, bytes, n, TIMEOUT_MS);
		if (sent < 0) return lost(sent, "the server takes no command");
	}
	return 0;
}

// receive waits until there are n bytes to be taken.
static int64_t receive(uint32_t n) {
	if (in_used - in_taken >= n) return 0;
	memmove(in, in + in_taken, in_used - in_taken);
	in_used -= in_taken, in_taken = 0;
	for (int32_t got; in_used < n; in_used += (uint32_t)got) {
		got = waddle_conn_read(conn, in + in_used, sizeof in - in_used, TIMEOUT_MS);
		if (got <= 0) return lost(got, got ? "the server gives no answer" : "the server has hung up");
	}
	return 0;
}

// refused makes a code of an error of Redis. It tells only the kind: the rest may have a key.
static int64_t refused(const char *line) {
	static const struct { const char *kind; int64_t code; } kinds[] = {
		{"OOM", NO_SPACE}, {"NOAUTH", DENIED}, {"WRONGPASS", DENIED}, {"NOPERM", DENIED}, {"WRONGTYPE", CORRUPT}, {"ERR", INTERNAL},
	};
	char kind[32] = "";
	size_t i = 0;
	for (; i < sizeof kind - 1 && line[i] > ' '; i++) kind[i] = line[i];
	for (i = 0; i < sizeof kinds / sizeof *kinds && strcmp(kind, kinds[i].kind) != 0;) i++;
	return fail(i < sizeof kinds / sizeof *kinds ? kinds[i].code : UNAVAILABLE, kind);
}

// answer reads an answer of one type, '+', ':', '$' or '*': its number or length, which is -1 for
// nothing, and the bytes of '$', which are valid until the next.
static int64_t answer(char type, int64_t *n, const uint8_t **bytes) {
	uint32_t length = 1;
	int64_t code = receive(2);
	for (; code == 0 && in[in_taken + length] != '\n'; length++) {
		if (length == MAX_LINE) return strange();
		code = receive(length + 2);
	}
	if (code < 0) return code;
	const char *line = (const char *)in + in_taken;
	in_taken += length + 1;
	if (line[0] == '-') return refused(line + 1);
	if (line[0] != type) return strange();
	*n = strtoll(line + 1, NULL, 10);
	if (type != '$' || *n < 0) return 0;
	if (*n > HEADER + MAX_VALUE) return strange();
	code = receive((uint32_t)*n + 2);
	*bytes = in + in_taken;
	in_taken += (uint32_t)*n + 2;
	return code;
}

// connect makes sure that there is a connection on which nothing is under way.
static int64_t connect(void) {
	int64_t n;
	const uint8_t *bytes;
	if (conn >= 0) {
		if (in_taken == in_used && waddle_conn_wait(conn, WAIT_READ, 0) == NET_AGAIN) return 0;
		waddle_conn_close(conn);  // the server has hung up, or says that it will
	}
	in_used = in_taken = 0;
	conn = waddle_dial(address, (uint32_t)strlen(address));
	if (conn < 0) return lost(conn, "there is no connection");
	int32_t ready = waddle_conn_wait(conn, WAIT_WRITE, TIMEOUT_MS);
	if (ready < 0) return lost(ready, "there is no connection");
	if (!*password) return 0;
	char login[sizeof password + 32];
	int length = snprintf(login, sizeof login, "*2\r\n$4\r\nAUTH\r\n$%zu\r\n%s\r\n", strlen(password), password);
	int64_t code = send((const uint8_t *)login, (uint32_t)length);
	if (code == 0) code = answer('+', &n, &bytes);
	if (code < 0 && conn >= 0) waddle_conn_close(conn), conn = -1;
	return code;
}

// ask sends the command and reads its answer. If the connection is lost in between, nobody
// knows whether the command was done: only one that does no harm twice is sent again.
static int64_t ask(bool twice, char type, int64_t *n, const uint8_t **bytes) {
	uint32_t length = out_used;
	out_used = 0;
	for (;; twice = false) {
		int64_t code = connect();
		if (code < 0) return code;
		code = send(out, length);
		if (code == 0) code = answer(type, n, bytes);
		if (conn >= 0 || !twice) return code;
	}
}

// ---- What a host calls ------------------------------------------------------

EXPORT("session_abi_v1") void session_abi_v1(void) {}  // the marker; never called

#define TEXT_OF(number) #number
#define DECIMAL(number) TEXT_OF(number)

EXPORT("session_describe") int64_t session_describe(void) {
	static const char description[] =
		"name\0example-redis\0version\0" "1.0.0\0capabilities\0cas remote\0"
		"max_key\0" DECIMAL(MAX_KEY) "\0max_value\0" DECIMAL(MAX_VALUE);
	return region(description, sizeof description);  // C adds the last NUL
}

EXPORT("session_alloc") void *session_alloc(uint32_t size) { return size <= sizeof exchange ? exchange : NULL; }

static int64_t refuse(const char *setting, const char *why) {
	char message[256];
	snprintf(message, sizeof message, "the setting %.99s %s", setting, why);
	return fail(INVALID, message);
}

// The settings come as alternating names and values, each ended by a NUL.
EXPORT("session_open") int64_t session_open(const char *config, uint32_t length) {
	static const struct { const char *name; char *to; size_t size; } settings[] = {
		{"address", address, sizeof address}, {"prefix", prefix, sizeof prefix}, {"password", password, sizeof password},
	};
	for (const char *end = config + length; config < end;) {
		const char *setting = config, *value = setting + strlen(setting) + 1;
		size_t n = strlen(value), i = 0;
		config = value + n + 1;
		if (strcmp(setting, "shard") == 0 || strcmp(setting, "shards") == 0) continue;
		if (strcmp(setting, "memory_limit") == 0 || strncmp(setting, "host_", 5) == 0) continue;
		while (i < 3 && strcmp(setting, settings[i].name) != 0) i++;
		if (i == 3) return refuse(setting, "is unknown: this engine has address, prefix, password");
		if (n >= settings[i].size) return refuse(setting, "is too long");
		memcpy(settings[i].to, value, n + 1);
	}
	if (!*address) return refuse("address", "must be tcp://host:port, tls://host:port or unix:///path");
	if (strpbrk(prefix, "*?[]\\")) return refuse("prefix", "must have none of *?[]\\");
	// The first number is drawn here and no earlier: instances may be copies.
	if (__wasi_random_get((uint8_t *)&number, sizeof number) != 0) return fail(INTERNAL, "there are no random numbers");
	return connect();
}

// live reports whether a record that begins with these bytes is there.
static bool live(const uint8_t *record, int64_t now_ms) {
	int64_t expires_ms;
	memcpy(&expires_ms, record, 8);
	return !expired(expires_ms, now_ms);
}

EXPORT("session_get") int64_t session_get(const uint8_t *key, uint32_t key_len, int64_t now_ms) {
	int64_t n;
	const uint8_t *record;
	if (key_len > MAX_KEY) return NOT_FOUND;
	begin(1, "GET"), name(key, key_len);
	int64_t code = ask(true, '$', &n, &record);
	if (code < 0) return code;
	if (n >= 0 && n < HEADER) return CORRUPT;
	if (n < 0 || !live(record, now_ms)) return NOT_FOUND;
	return region(record + HEADER, (uint32_t)n - HEADER);
}

EXPORT("session_delete") int64_t session_delete(const uint8_t *key, uint32_t key_len, int64_t now_ms) {
	(void)now_ms;
	int64_t n;
	const uint8_t *bytes;
	if (key_len > MAX_KEY) return 0;
	begin(1, "DEL"), name(key, key_len);
	return ask(false, ':', &n, &bytes);
}

EXPORT("session_set")
int64_t session_set(const uint8_t *key, uint32_t key_len, const uint8_t *value, uint32_t value_len,
                    int64_t expires_ms, int64_t now_ms, int64_t expect) {
	int64_t n, removal = removal_ms(expires_ms, now_ms);
	const uint8_t *bytes;
	bool gone = expired(expires_ms, now_ms);  // already: it is to be removed
	if (key_len > MAX_KEY || value_len > MAX_VALUE) return fail(TOO_LARGE, "the key or value is longer than this engine takes");
	if (gone && expect == EXPECT_ANY) return session_delete(key, key_len, now_ms);
	if (expect == EXPECT_ANY) {
		begin(removal ? 4 : 2, "SET");
		name(key, key_len);
	} else {
		begin_script(set_script, 3, key, key_len, now_ms);
		argument(&expect, expect == EXPECT_ABSENT ? 0 : 8), decimal(removal);
	}
	number++;
	add_length('$', gone ? 0 : HEADER + value_len);
	if (!gone) add(&expires_ms, 8), add(&number, 8), add(value, value_len);
	add("\r\n", 2);
	if (expect == EXPECT_ANY) {
		if (removal) text("PX"), decimal(removal);
		return ask(false, '+', &n, &bytes);
	}
	int64_t code = ask(!gone, ':', &n, &bytes);
	return code < 0 || n == 1 ? code : CONFLICT;
}

EXPORT("session_touch") int64_t session_touch(const uint8_t *key, uint32_t key_len, int64_t expires_ms, int64_t now_ms) {
	int64_t n;
	const uint8_t *bytes;
	if (key_len > MAX_KEY) return NOT_FOUND;
	begin_script(touch_script, 2, key, key_len, now_ms);
	argument(&expires_ms, expired(expires_ms, now_ms) ? 0 : 8), decimal(removal_ms(expires_ms, now_ms));
	int64_t code = ask(false, ':', &n, &bytes);
	return code < 0 || n == 1 ? code : NOT_FOUND;
}

// What was answered is as safe as the settings of the server make it.
EXPORT("session_save") int64_t session_save(int64_t now_ms) { return now_ms & 0; }

// scan asks for a page of names. As many answers as count says are then to be read.
static int64_t scan(int64_t *cursor, int64_t *count) {
	char pattern[sizeof prefix + 1];
	const uint8_t *bytes;
	sprintf(pattern, "%s*", prefix);
	begin(5, "SCAN");
	decimal(*cursor), text("MATCH"), text(pattern), text("COUNT"), decimal(PAGE);
	int64_t code = ask(true, '*', count, &bytes);
	if (code == 0) code = answer('$', count, &bytes);
	if (code < 0) return code;
	*cursor = strtoll((const char *)bytes, NULL, 10);
	code = answer('*', count, &bytes);
	return code == 0 && *count > 32 * PAGE ? strange() : code;
}

EXPORT("session_clear") int64_t session_clear(int64_t now_ms) {
	int64_t cursor = now_ms & 0, count, n;
	const uint8_t *bytes;
	do {
		int64_t code = scan(&cursor, &count);
		if (code == 0 && count > 0) begin((uint32_t)count, "UNLINK");
		for (; code == 0 && count > 0; count--) {
			code = answer('$', &n, &bytes);
			if (code == 0 && out_used + n > sizeof out - ROOM) code = strange();
			if (code == 0) argument(bytes, (uint32_t)n);
		}
		if (code == 0 && out_used > 0) code = ask(false, ':', &n, &bytes);
		if (code < 0) return code;
	} while (cursor != 0);
	return 0;
}

EXPORT("session_keys") int64_t session_keys(int64_t cursor, int64_t now_ms) {
	int64_t count, n, most = (int64_t)strlen(prefix);
	const uint8_t *bytes;
	uint32_t asked = 0, read = 8, kept = 8, end = 8, length;
	if (cursor < 0) return fail(INVALID, "the cursor is negative");
	int64_t code = scan(&cursor, &count);
	for (; code == 0 && count > 0; count--) {  // the keys go to the chunk, and commands for what they hold to out
		code = answer('$', &n, &bytes);
		if (code < 0 || n <= most || n > most + MAX_KEY) continue;
		if (out_used + n > sizeof out - ROOM || end + n > sizeof exchange) return strange();
		begin(3, "GETRANGE");
		argument(bytes, (uint32_t)n), text("0"), text("15");
		length = (uint32_t)(n - most);
		memcpy(exchange + end, &length, 4);
		memcpy(exchange + end + 4, bytes + most, length);
		end += 4 + length;
		asked++;
	}
	for (uint32_t i = 0; code == 0 && i < asked; i++, read += 4 + length) {  // what is there stays in the chunk
		code = i == 0 ? ask(true, '$', &n, &bytes) : answer('$', &n, &bytes);
		memcpy(&length, exchange + read, 4);
		if (code == 0 && n == HEADER && live(bytes, now_ms)) {
			memmove(exchange + kept, exchange + read, 4 + length);
			kept += 4 + length;
		}
		if (code == CORRUPT) code = 0;  // it is no string
	}
	memcpy(exchange, &cursor, 8);
	return code < 0 ? code : region(exchange, kept);
}
