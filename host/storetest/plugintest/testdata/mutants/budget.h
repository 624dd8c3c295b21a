// The count of a guest that holds no more than a part of its memory: space_base
// and the faults after it. The other guests are limited only by their memory, and
// the compiler drops all this.
#pragma once
#include "heap.h"

enum { COUNTS = MUTANT >= space_base && MUTANT <= space_restore_invalid };

static i64 spent, budget = 1LL << 62;

static i64 cost(u32 key_len, u32 value_len) { return 64 + (i64)key_len + value_len; }

// set_budget reads memory_limit.
static void set_budget(const char *digits) {
	budget = 0;
	for (; *digits; digits++) budget = budget * 10 + (*digits - '0');
	budget /= 4;
}

// fits says whether that many bytes are left.
static int fits(i64 more) { return !COUNTS || spent + more <= budget; }
