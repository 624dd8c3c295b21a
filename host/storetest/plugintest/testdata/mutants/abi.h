// abi/SPEC.md in C, and the few parts of a C library that the guest needs,
// which is built without one.
#pragma once

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

enum {
	OK = 0, NOT_FOUND = -1, INVALID = -2, TOO_LARGE = -3, NO_SPACE = -4, UNAVAILABLE = -5,
	CONFLICT = -6, CORRUPT = -7, DENIED = -8, UNSUPPORTED = -9, INTERNAL = -10,
};
enum { EXPECT_ANY = 0, EXPECT_ABSENT = -1 };

#ifndef EXPORT // designs.c exports functions of its own
#define EXPORT(name) __attribute__((export_name(#name))) name
#endif
#define IMPORT(module, name) __attribute__((import_module(module), import_name(#name))) extern

IMPORT("waddle_v1", fail) void fail(const char *message, u32 len);

struct part { const void *at; u32 len; }; // of bytes that WASI reads or writes

// region makes the result of an operation that answers bytes.
static i64 region(const void *at, u32 len) { return (i64)(u32)at << 32 | len; }

#define copy __builtin_memcpy // becomes one WebAssembly instruction, as does the next
#define fill __builtin_memset

static int equal(const u8 *a, const u8 *b, u32 len) {
	for (u32 i = 0; i < len; i++)
		if (a[i] != b[i]) return 0;
	return 1;
}

static u32 length(const char *text) {
	u32 n = 0;
	while (text[n]) n++;
	return n;
}

// Little-endian numbers, at any address.
static void put32(u8 *at, u32 n) { copy(at, &n, 4); }
static void put64(u8 *at, i64 n) { copy(at, &n, 8); }
static u32 get32(const u8 *at) { u32 n; copy(&n, at, 4); return n; }
static i64 get64(const u8 *at) { i64 n; copy(&n, at, 8); return n; }
