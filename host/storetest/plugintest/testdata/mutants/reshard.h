// Numbers of shards: what a guest needs to know to find its records with any
// number.
#pragma once
#include "chunks.h"

// Whether the guest describes the capability, and whether the names of its files
// contain the number.
enum {
	NUMBERED = FAULT(file_reshards) || FAULT(file_reshard_some) || FAULT(file_reshard_stale) || FAULT(file_reshard_copies) ||
	           FAULT(file_reshard_expiry) || FAULT(file_refuses) || FAULT(file_refuses_mute),
	ANY_SHARDS = NUMBERED || FAULT(file_reshard_not),
};

static const char *generation; // the number of shards that the files at hand are for

static u32 number(const char *digits) {
	u32 n = 0;
	for (; *digits; digits++) n = n * 10 + (u32)(*digits - '0');
	return n;
}

static char *digits(char *to, u32 n) {
	u32 at = 0, unit = 1;
	while (unit * 10 <= n) unit *= 10;
	for (; unit; unit /= 10) to[at++] = (char)('0' + n / unit % 10);
	to[at] = 0;
	return to;
}

// shard_of returns which of that many shards a key belongs to.
static u32 shard_of(const u8 *key, u32 len, u32 shards) {
	const u64 prime = 0x9e3779b97f4a7c15u;
	u64 h = len;
	for (u32 i = 0; i < len; i += 8) {
		u64 word = 0;
		copy(&word, key + i, len - i < 8 ? len - i : 8);
		h = (h ^ word) * prime;
		h ^= h >> 32;
	}
	return (u32)((h * prime >> 32) * shards >> 32);
}
