// waddle.h - the storage interface of Waddle, version 1, as C sees it.
//
// The contract itself, which says what each function must do, is
// https://github.com/waddle-sessions/waddle/blob/main/abi/SPEC.md
#ifndef WADDLE_H
#define WADDLE_H

#include <stdint.h>
#include <string.h>

// Answers less than zero are errors.
enum {
	NOT_FOUND = -1,    // no record is stored under the key, or it has expired
	INVALID = -2,      // an argument or setting cannot be accepted
	TOO_LARGE = -3,    // the key or value is larger than this store takes
	NO_SPACE = -4,     // there is no room, and none can be made
	UNAVAILABLE = -5,  // not possible now; the same call may succeed later
	CONFLICT = -6,     // the stored revision is not the expected one
	CORRUPT = -7,      // a record is stored but cannot be read
	DENIED = -8,       // the backend refuses access
	UNSUPPORTED = -9,  // the store does not have this operation
	INTERNAL = -10,    // a fault within the store
};

// What the argument expect can be other than a revision.
enum { EXPECT_ANY = 0, EXPECT_ABSENT = -1 };

// EXPORT("name") before a function makes it an export of the module.
#define EXPORT(name) __attribute__((export_name(name)))
#define IMPORT(name) __attribute__((import_module("waddle_v1"), import_name(name)))

// Writes a line to the host's log. Levels: -4 debug, 0 info, 4 warning, 8 error.
IMPORT("log") void waddle_log(int32_t level, const char *text, uint32_t length);

// Attaches a message to the error that the current call is going to return. It
// must not contain keys or values.
IMPORT("fail") void waddle_fail(const char *text, uint32_t length);

// fail returns an error code and says why.
static inline int64_t fail(int64_t code, const char *why) {
	waddle_fail(why, (uint32_t)strlen(why));
	return code;
}

// region is the answer of an operation that returns bytes: where they are and how
// many. They must stay as they are until the next call.
static inline int64_t region(const void *bytes, uint32_t length) {
	return (int64_t)((uint64_t)(uintptr_t)bytes << 32 | length);
}

// expired reports whether a record is gone: expires_ms is the first millisecond
// at which it is; 0 means never.
static inline int expired(int64_t expires_ms, int64_t now_ms) {
	return expires_ms != 0 && now_ms >= expires_ms;
}

// revision returns the first eight bytes of a value as a number. Missing bytes of
// a shorter value count as zero. WebAssembly is little-endian, and so are
// revisions.
static inline int64_t revision(const uint8_t *value, uint32_t length) {
	int64_t number = 0;
	memcpy(&number, value, length < 8 ? length : 8);
	return number;
}

#endif
