/*
 * A guest that stores nothing and traps, built with everything a debugger wants:
 *
 *   clang-19 --target=wasm32 -g -gdwarf-4 -O1 -nostdlib -ffile-prefix-map="$PWD"=. \
 *     -c debug.c -o debug.o
 *   clang-19 --target=wasm32 -nostdlib -Wl,--no-entry debug.o -o debug.wasm
 *
 * Its test compares line numbers: of the line in fail() and of its caller's.
 */
#define EXPORT(name) __attribute__((export_name(#name)))

typedef unsigned int u32;
typedef long long i64;

static unsigned char buffer[65536];

__attribute__((noinline)) static i64 fail(i64 now) {
	if (now == 1)
		__builtin_trap(); /* line 19 */
	return -1;
}

EXPORT(session_abi_v1) void session_abi_v1(void) {}

EXPORT(session_alloc) void *session_alloc(u32 size) { return size <= sizeof buffer ? buffer : 0; }

EXPORT(session_open) i64 session_open(void *config, u32 size) { return 0; }

EXPORT(session_get) i64 session_get(void *key, u32 size, i64 now) {
	i64 r = fail(now); /* line 30 */
	return r < -1 ? -10 : r;
}

EXPORT(session_set)
i64 session_set(void *key, u32 key_size, void *value, u32 value_size, i64 expires, i64 now, i64 expect) {
	return 0;
}

EXPORT(session_delete) i64 session_delete(void *key, u32 size, i64 now) { return 0; }

EXPORT(session_clear) i64 session_clear(i64 now) { return 0; }

EXPORT(session_save) i64 session_save(i64 now) { return 0; }
