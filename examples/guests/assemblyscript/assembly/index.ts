// A storage plugin for Waddle in AssemblyScript that keeps sessions in memory.
//
// A host calls the functions exported here, one at a time. It passes keys and
// values in one buffer, which it gets from session_alloc. Answers tell it where in
// memory to find bytes. No function reads a clock: each call carries the time.

import { CONFLICT, EXPECT_ABSENT, EXPECT_ANY, INVALID, NOT_FOUND, NO_SPACE, TOO_LARGE } from "./waddle";
import { expired, fail, region, revision } from "./waddle";
import { Record, Table, sizeOf } from "./table";

const NAME = "example-store";
const VERSION = "1.0.0";
const MAX_KEY: u32 = 1024;
const MAX_VALUE: u32 = 1048576;

const CHUNK: u32 = 64 << 10; // the size at which a chunk of keys or records ends
const CURSOR = 8; // bytes before a chunk
const HEADER = 16; // bytes before each record of a list

const table = new Table();
let maxRecords = i32.MAX_VALUE;

// AssemblyScript ends a program that runs out of memory, and its garbage collector
// lets memory become twice as large as what is in use. So the store counts what
// records take and stops well before the limit.
let maxBytes: i64 = 0;

// Where session_sweep continues: it has yet to look at this many records.
let unswept = 0;

// The exchange buffer, which the host writes to and in which lists are built. It
// never becomes smaller: the largest record came in through it, and fits with what
// precedes it in a list.
let exchange = new StaticArray<u8>(0);

const description = String.UTF8.encode(
  "name\0" + NAME + "\0version\0" + VERSION + "\0capabilities\0cas\0" +
  "max_key\0" + MAX_KEY.toString() + "\0max_value\0" + MAX_VALUE.toString() + "\0",
);

/** The marker of the interface's version; never called. */
export function session_abi_v1(): void {}

export function session_describe(): i64 {
  return region(changetype<usize>(description), description.byteLength);
}

export function session_alloc(size: u32): usize {
  // Two sizes are enough: one for chunks and most values, one for the largest
  // record.
  const wanted: u32 = (size <= CHUNK ? CHUNK : MAX_KEY + MAX_VALUE) + CURSOR + HEADER;
  if (size > wanted) return 0;
  if (wanted > <u32>exchange.length) exchange = new StaticArray<u8>(wanted);
  return changetype<usize>(exchange);
}

// The settings come as alternating names and values, each ended by a NUL.
export function session_open(config: usize, length: i32): i64 {
  const parts = String.UTF8.decodeUnsafe(config, length).split("\0");
  if (parts.pop() != "" || parts.length % 2 != 0) {
    return fail(INVALID, "the config is not a list of names and values that end with NUL");
  }
  let most: string | null = null;
  let shards: i64 = 1;
  let memory = "67108864"; // bytes
  for (let i = 0; i < parts.length; i += 2) {
    const name = parts[i], value = parts[i + 1];
    if (name == "max_records") most = value;
    else if (name == "shards") shards = number(value, 9);
    else if (name == "memory_limit") memory = value;
    else if (name != "shard" && !name.startsWith("host_")) {
      return fail(INVALID, "the setting " + name.slice(0, 100) + " is unknown: this engine has max_records");
    }
  }
  if (most != null) {
    // It is for all shards together, and this instance is one of them.
    maxRecords = shards > 0 ? <i32>(number(most, 9) / shards) : 0;
    if (maxRecords < 1) {
      return refuse("max_records", most, "must be a whole number up to 999999999, and at least 1 for each shard");
    }
  }
  maxBytes = (number(memory, 10) - 3 * <i64>MAX_VALUE) / 3;
  if (maxBytes <= 0) {
    return refuse("memory_limit", memory, "must be at least 4 MiB for each shard, since a store in AssemblyScript needs that");
  }
  return 0;
}

/** Says what the value of a setting is, of which it shows the start, and why it is wrong. */
function refuse(name: string, value: string, why: string): i64 {
  return fail(INVALID, "the setting " + name + ' is "' + value.slice(0, 100) + '": ' + why);
}

/** A whole number from 1 on, or 0 for anything else. */
function number(text: string, digits: i32): i64 {
  if (text.length > digits) return 0;
  let n: i64 = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return 0;
    n = n * 10 + digit;
  }
  return n;
}

export function session_get(key: usize, keyLength: i32, now: i64): i64 {
  const r = table.findLive(key, keyLength, now);
  return r ? region(r.value, r.valueLength) : NOT_FOUND;
}

// The value lies directly behind the key.
export function session_set(
  key: usize, keyLength: u32, value: usize, valueLength: u32, expires: i64, now: i64, expect: i64,
): i64 {
  const code = checkSize(keyLength, valueLength);
  if (code < 0) return code;

  const old = table.findLive(key, keyLength, now);
  if (expect == EXPECT_ABSENT) {
    if (old) return CONFLICT;
  } else if (expect != EXPECT_ANY) {
    if (!old || revision(old.value, old.valueLength) != expect) return CONFLICT;
  }

  if (expired(expires, now)) { // it would already have expired
    if (old) table.drop(old);
    return 0;
  }
  while (!hasRoom(newRecords(key, keyLength), newBytes(key, keyLength, valueLength))) {
    if (table.dropExpired(now) == 0) return full();
  }
  table.put(key, keyLength, valueLength, expires);
  return 0;
}

function checkSize(keyLength: u32, valueLength: u32): i64 {
  if (keyLength == 0) return fail(INVALID, "the key is empty");
  if (keyLength > MAX_KEY) return fail(TOO_LARGE, "the key is longer than " + MAX_KEY.toString() + " bytes");
  if (valueLength > MAX_VALUE) return fail(TOO_LARGE, "the value is longer than " + MAX_VALUE.toString() + " bytes");
  return 0;
}

function full(): i64 {
  return fail(NO_SPACE, "the store is full: raise max_records or the memory limit");
}

// How many more records and bytes there are after a write.
function newRecords(key: usize, keyLength: i32): i32 {
  return table.find(key, keyLength) ? 0 : 1;
}

function newBytes(key: usize, keyLength: i32, valueLength: i32): i64 {
  const old = table.find(key, keyLength);
  return old ? <i64>valueLength - <i64>old.valueLength : sizeOf(keyLength, valueLength);
}

function hasRoom(records: i32, bytes: i64): bool {
  return records <= maxRecords - table.count && (bytes <= 0 || table.bytes + bytes <= maxBytes);
}

export function session_touch(key: usize, keyLength: i32, expires: i64, now: i64): i64 {
  const r = table.findLive(key, keyLength, now);
  if (!r) return NOT_FOUND;
  if (expired(expires, now)) {
    table.drop(r);
  } else {
    r.expires = expires;
    table.expect(expires);
  }
  return 0;
}

export function session_delete(key: usize, keyLength: i32, now: i64): i64 {
  const r = table.find(key, keyLength);
  if (r) table.drop(r);
  return 0;
}

export function session_clear(now: i64): i64 {
  table.clear();
  return 0;
}

// There is nothing to write.
export function session_save(now: i64): i64 {
  table.dropExpired(now);
  return 0;
}

// This function and the two below go through the list from its end. When a record
// is removed, the last one moves to its place. That one may then be seen twice,
// but none is missed.
export function session_sweep(now: i64, max: u32): i64 {
  let removed = 0;
  for (let looks = min<u32>(max, table.count); looks > 0; looks--) {
    if (unswept == 0 || unswept > table.count) unswept = table.count;
    const r = table.records[--unswept];
    if (expired(r.expires, now)) {
      table.drop(r);
      removed++;
    }
  }
  return removed;
}

// A cursor is the number of records still to be seen; the first one is 0.
function begin(cursor: i64): i32 {
  return cursor == 0 || cursor > table.count ? table.count : <i32>cursor;
}

// end writes the cursor of the next call in front of a chunk.
function end(cursor: i32, used: i32): i64 {
  const chunk = changetype<usize>(exchange);
  store<i64>(chunk, cursor);
  return region(chunk, used);
}

// Whether a chunk must end before n more bytes. An empty one takes any entry.
function noRoom(used: i32, n: i32): bool {
  return used > CURSOR && used + n > <i32>CHUNK;
}

export function session_keys(cursor: i64, now: i64): i64 {
  if (cursor < 0) return fail(INVALID, "the cursor is negative");
  let unseen = begin(cursor), used = CURSOR;
  for (; unseen > 0; unseen--) {
    const r = table.records[unseen - 1];
    if (expired(r.expires, now)) continue;
    if (noRoom(used, 4 + r.keyLength)) break;
    const to = changetype<usize>(exchange) + used;
    store<i32>(to, r.keyLength);
    memory.copy(to + 4, r.key, r.keyLength);
    used += 4 + r.keyLength;
  }
  return end(unseen, used);
}

export function session_snapshot(cursor: i64, now: i64): i64 {
  if (cursor < 0) return fail(INVALID, "the cursor is negative");
  let unseen = begin(cursor), used = CURSOR;
  for (; unseen > 0; unseen--) {
    const r = table.records[unseen - 1];
    if (expired(r.expires, now)) continue;
    if (noRoom(used, HEADER + r.bytes.length)) break;
    const to = changetype<usize>(exchange) + used;
    store<i32>(to, r.keyLength);
    store<i32>(to + 4, r.valueLength);
    store<i64>(to + 8, r.expires);
    memory.copy(to + HEADER, r.key, r.bytes.length);
    used += HEADER + r.bytes.length;
  }
  return end(unseen, used);
}

// The whole list is stored or, on an error, nothing. It is gone through to check
// whether it is well formed, then to see how much room it needs, and then to store
// it.
export function session_restore(list: usize, length: u32, now: i64): i64 {
  const listEnd = list + length;
  for (let at = list; at < listEnd; at = next(at)) {
    const left = <i32>(listEnd - at);
    if (left < HEADER || <u64>load<u32>(at) + <u64>load<u32>(at + 4) > <u64>(left - HEADER)) {
      return fail(INVALID, "the list ends within a record");
    }
    const code = checkSize(load<u32>(at), load<u32>(at + 4));
    if (code < 0) return code;
  }
  while (!hasRoomForList(list, listEnd, now)) {
    if (table.dropExpired(now) == 0) return full();
  }
  for (let at = list; at < listEnd; at = next(at)) {
    const expires = load<i64>(at + 8);
    if (!expired(expires, now)) table.put(at + HEADER, load<i32>(at), load<i32>(at + 4), expires);
  }
  return 0;
}

function hasRoomForList(list: usize, listEnd: usize, now: i64): bool {
  let records = 0;
  let bytes: i64 = 0;
  for (let at = list; at < listEnd; at = next(at)) {
    if (expired(load<i64>(at + 8), now)) continue;
    const key = at + HEADER, keyLength = load<i32>(at);
    records += newRecords(key, keyLength);
    bytes += max<i64>(0, newBytes(key, keyLength, load<i32>(at + 4)));
  }
  return hasRoom(records, bytes);
}

// Where the record after this one begins.
function next(at: usize): usize {
  return at + HEADER + load<u32>(at) + load<u32>(at + 4);
}
