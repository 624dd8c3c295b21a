// A storage plugin for Waddle in AssemblyScript that keeps sessions in Redis or Valkey.
//
// A host calls the functions exported here, one at a time. Each sends a command over one connection
// and waits for the answer. Any instance serves any key, since no record lies in an instance
// ("remote"). redis.ts speaks to the server.

import { CONFLICT, CORRUPT, EXPECT_ABSENT, EXPECT_ANY, INVALID, NOT_FOUND, TOO_LARGE } from "../../../guests/assemblyscript/assembly/waddle";
import { expired, fail, region } from "../../../guests/assemblyscript/assembly/waddle";
import { Redis } from "./redis";

const MAX_KEY: i32 = 1024;
const MAX_VALUE: i32 = 262144;
const HEADER = 8; // of a record: when it expires

const redis = new Redis(MAX_KEY + MAX_VALUE + HEADER);
let prefix = "waddle:";
const exchange = new StaticArray<u8>(MAX_KEY + MAX_VALUE);

const description = String.UTF8.encode(
  "name\0example-redis\0version\x001.0.0\0capabilities\0cas remote\0" +
  "max_key\0" + MAX_KEY.toString() + "\0max_value\0" + MAX_VALUE.toString() + "\0",
);

// Begins both scripts: whether the record is there at ARGV[1]. The host's time decides, of which
// half fits into a number of Lua.
const LIVE = `
local record, live = redis.call('GETRANGE', KEYS[1], 0, 15), false
if #record >= 8 then
  local elow, ehigh = struct.unpack('<I4i4', record)
  local low, high = struct.unpack('<I4i4', ARGV[1])
  live = (elow == 0 and ehigh == 0) or high < ehigh or (high == ehigh and low < elow)
end`;

const SET = LIVE + `
if ARGV[2] == 'absent' then
  if live then return 0 end
elseif ARGV[2] ~= 'any' then
  if not live or string.sub(string.sub(record, 9) .. string.rep('\\0', 8), 1, 8) ~= ARGV[2] then return 0 end
end
if ARGV[3] == '' then redis.call('DEL', KEYS[1])
else redis.call('SET', KEYS[1], ARGV[3]) end
if ARGV[4] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
return 1`;

const TOUCH = LIVE + `
if not live then return 0 end
if ARGV[2] == '' then redis.call('DEL', KEYS[1])
else redis.call('SETRANGE', KEYS[1], 0, ARGV[2]) redis.call('PERSIST', KEYS[1]) end
if ARGV[3] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return 1`;

const CLEAR = `
local cursor = '0'
repeat
  local page = redis.call('SCAN', cursor, 'MATCH', ARGV[1], 'COUNT', 1000)
  cursor = page[1]
  for _, name in ipairs(page[2]) do redis.call('UNLINK', name) end
until cursor == '0'`;

/** The marker of the interface's version; never called. */
export function session_abi_v1(): void {}

export function session_describe(): i64 {
  return region(changetype<usize>(description), description.byteLength);
}

export function session_alloc(size: i32): usize {
  return size <= exchange.length ? changetype<usize>(exchange) : 0;
}

// The settings come as alternating names and values, each ended by a NUL.
export function session_open(config: usize, length: i32): i64 {
  const parts = String.UTF8.decodeUnsafe(config, length).split("\0");
  for (let i = 0; i + 1 < parts.length; i += 2) {
    const name = parts[i], value = parts[i + 1];
    if (name == "address") redis.address = value;
    else if (name == "prefix") prefix = value;
    else if (name != "shard" && name != "shards" && name != "memory_limit" && !name.startsWith("host_")) {
      return fail(INVALID, "the setting " + name.slice(0, 100) + " is unknown: this engine has address, prefix");
    }
  }
  if (redis.address == "") {
    return fail(INVALID, "the setting address is missing: must be tcp://host:port, tls://host:port or unix:///path");
  }
  if (prefix.includes("*") || prefix.includes("?") || prefix.includes("[") || prefix.includes("]") || prefix.includes("\\")) {
    return fail(INVALID, "the setting prefix must have none of *?[]\\");
  }
  redis.begin(1);
  redis.text("PING");
  return redis.call();
}

export function session_get(key: usize, keyLength: i32, now: i64): i64 {
  redis.begin(2);
  redis.text("GET");
  redis.name(prefix, key, keyLength);
  const code = redis.call();
  if (code < 0) return code;
  if (redis.length < 0) return NOT_FOUND;
  if (redis.length < HEADER) return CORRUPT;
  if (expired(load<i64>(redis.bytes), now)) return NOT_FOUND;
  return region(redis.bytes + HEADER, redis.length - HEADER);
}

export function session_set(
  key: usize, keyLength: i32, value: usize, valueLength: i32, expires: i64, now: i64, expect: i64,
): i64 {
  if (keyLength > MAX_KEY || valueLength > MAX_VALUE) {
    return fail(TOO_LARGE, "the key or value is longer than this store takes");
  }
  begin(SET, 4, key, keyLength, now);
  if (expect == EXPECT_ANY) redis.text("any");
  else if (expect == EXPECT_ABSENT) redis.text("absent");
  else redis.number(expect);
  if (expired(expires, now)) redis.text(""); // it would already have expired
  else redis.record(expires, value, valueLength);
  redis.text(dropAfter(expires, now));
  const code = redis.call();
  return code < 0 || !redis.isZero() ? code : CONFLICT;
}

export function session_touch(key: usize, keyLength: i32, expires: i64, now: i64): i64 {
  begin(TOUCH, 3, key, keyLength, now);
  if (expired(expires, now)) redis.text("");
  else redis.number(expires);
  redis.text(dropAfter(expires, now));
  const code = redis.call();
  return code < 0 || !redis.isZero() ? code : NOT_FOUND;
}

export function session_delete(key: usize, keyLength: i32, now: i64): i64 {
  redis.begin(2);
  redis.text("DEL");
  redis.name(prefix, key, keyLength);
  return redis.call();
}

// Redis serves nobody else meanwhile. A store for many users removes a page at a time.
export function session_clear(now: i64): i64 {
  redis.begin(4);
  redis.text("EVAL");
  redis.text(CLEAR);
  redis.text("0");
  redis.text(prefix + "*");
  return redis.call();
}

// What was answered is as safe as the settings of the server make it.
export function session_save(now: i64): i64 {
  return 0;
}

/** Begins to run a script with so many arguments, of which the first is the time. */
function begin(script: string, count: i32, key: usize, keyLength: i32, now: i64): void {
  redis.begin(4 + count);
  redis.text("EVAL");
  redis.text(script);
  redis.text("1");
  redis.name(prefix, key, keyLength);
  redis.number(now);
}

/** When Redis drops a record, by its own clock: a minute after it has expired. 0 means never. */
function dropAfter(expires: i64, now: i64): string {
  const ms = expires - now;
  return expires != 0 && ms > 0 && ms < 1 << 40 ? (ms + 60_000).toString() : "0";
}
