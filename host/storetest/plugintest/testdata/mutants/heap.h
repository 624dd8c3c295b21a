// The heap: blocks whose sizes are powers of two, and for each size a list of
// freed blocks. The caller that frees a block says how large it was.
#pragma once
#include "abi.h"
#include "faults.h"

enum { PAGE = 65536 };

extern u8 __heap_base;
static u32 heap_end;          // the first byte that was never taken; 0 before the first block
static void *given_back[32];  // by power of two; each block begins with the next one

static int power_of(u32 size) {
	int power = 4;
	while (power < 31 && 1u << power < size) power++;
	return power;
}

// take returns a block, or 0 if there is no room.
static void *take(u32 size) {
	if (size > 1u << 30) return 0;
	int power = power_of(size);
	void *block = given_back[power];
	if (block) {
		given_back[power] = *(void **)block;
		return block;
	}
	if (!heap_end) heap_end = ((u32)&__heap_base + 15) & ~15u;
	u64 memory = (u64)__builtin_wasm_memory_size(0) * PAGE, end = (u64)heap_end + (1u << power);
	if (end > memory) {
		u32 pages = (u32)((end - memory + PAGE - 1) / PAGE);
		if (__builtin_wasm_memory_grow(0, pages) == (__SIZE_TYPE__)-1) {
			if (FAULT(no_space_traps)) __builtin_trap();
			return 0;
		}
		// A realloc that mistakes the old end for the start of the new part.
		if (FAULT(growth_corrupts)) fill((void *)(u32)(memory - 64), 0, 64);
	}
	block = (void *)heap_end;
	heap_end = (u32)end;
	return block;
}

static void give(void *block, u32 size) {
	if (!block) return;
	int power = power_of(size);
	*(void **)block = given_back[power];
	given_back[power] = block;
}
