//! A storage plugin for Waddle in Zig that keeps sessions in memory.
//!
//! A host calls the exported functions, one at a time, so there are no locks. It
//! passes keys and values in one buffer, which it gets from session_alloc. Answers
//! tell it where in memory to find bytes. No function reads a clock: each call
//! carries the time.
//!
//! The host limits memory: the allocator returns OutOfMemory when there is no more.
//! The answer then is NoSpace, unless expired records can be dropped.

const std = @import("std");
const waddle = @import("waddle.zig");
const Error = waddle.Error;
const expired = waddle.expired;
const fail = waddle.fail;

const name = "example-store";
const version = "1.0.0";
const max_key = 1024;
const max_value = 1048576;

const chunk_size = 64 << 10; // the size at which a chunk of keys or records ends
const cursor_size = 8; // bytes before a chunk
const header_size = 16; // bytes before each record of a list

const allocator = std.heap.wasm_allocator;

const Record = struct {
    bytes: []u8, // the key, then the value
    key_len: usize,
    expires: i64,

    fn key(self: Record) []const u8 {
        return self.bytes[0..self.key_len];
    }
    fn value(self: Record) []const u8 {
        return self.bytes[self.key_len..];
    }
};

/// The records by key. An array hash map has them in one list without gaps: when
/// one is removed, the last one moves to its place. The keys are those in the
/// records.
var records = std.StringArrayHashMapUnmanaged(Record){};

var max_records: usize = std.math.maxInt(usize);

/// No record expires before soonest: until then there is no point in looking for
/// expired ones.
var soonest: i64 = std.math.maxInt(i64);

/// Where session_sweep continues: it has yet to look at this many.
var unswept: usize = 0;

/// The exchange buffer, which the host writes to and in which lists are built. It
/// never becomes smaller: the largest record came in through it, and fits with what
/// precedes it in a list.
var exchange: []u8 = &.{};

// ---- What a host calls ------------------------------------------------------

/// The marker of the interface's version; never called.
export fn session_abi_v1() void {}

export fn session_describe() i64 {
    return waddle.region(std.fmt.comptimePrint(
        "name\x00{s}\x00version\x00{s}\x00capabilities\x00cas\x00max_key\x00{d}\x00max_value\x00{d}\x00",
        .{ name, version, max_key, max_value },
    ));
}

export fn session_alloc(size: u32) ?[*]u8 {
    // Two sizes are enough: one for chunks and most values, one for the largest
    // record.
    const most: usize = if (size <= chunk_size) chunk_size else max_key + max_value;
    const wanted = most + cursor_size + header_size;
    if (size > wanted) return null;
    if (wanted > exchange.len) {
        const buffer = allocator.alloc(u8, wanted) catch return null;
        allocator.free(exchange);
        exchange = buffer;
    }
    return exchange.ptr;
}

export fn session_open(config: [*]const u8, length: u32) i64 {
    return waddle.done(open(config[0..length]));
}

export fn session_get(key: [*]const u8, key_len: u32, now: i64) i64 {
    const record = find(key[0..key_len], now) orelse return waddle.region(error.NotFound);
    return waddle.region(record.value());
}

// The value lies directly behind the key.
export fn session_set(
    key: [*]const u8,
    key_len: u32,
    _: [*]const u8,
    value_len: u32,
    expires: i64,
    now: i64,
    expect: i64,
) i64 {
    return waddle.done(set(key[0 .. key_len + value_len], key_len, expires, now, expect));
}

export fn session_touch(key: [*]const u8, key_len: u32, expires: i64, now: i64) i64 {
    const record = find(key[0..key_len], now) orelse return waddle.done(error.NotFound);
    if (expired(expires, now)) {
        delete(key[0..key_len]);
    } else {
        record.expires = expires;
        expectExpiry(expires);
    }
    return 0;
}

export fn session_delete(key: [*]const u8, key_len: u32, _: i64) i64 {
    delete(key[0..key_len]);
    return 0;
}

export fn session_clear(_: i64) i64 {
    for (records.values()) |record| allocator.free(record.bytes);
    records.clearRetainingCapacity();
    soonest = std.math.maxInt(i64);
    return 0;
}

/// There is nothing to write.
export fn session_save(now: i64) i64 {
    _ = dropExpired(now);
    return 0;
}

/// This function and those below go through the list from its end. When a record is
/// removed, the last one moves to its place. That one may then be seen twice, but
/// none is missed.
export fn session_sweep(now: i64, max: u32) i64 {
    var removed: i64 = 0;
    var looks = @min(max, records.count());
    while (looks > 0) : (looks -= 1) {
        if (unswept == 0 or unswept > records.count()) unswept = records.count();
        unswept -= 1;
        if (expired(records.values()[unswept].expires, now)) {
            drop(unswept);
            removed += 1;
        }
    }
    return removed;
}

export fn session_keys(cursor: i64, now: i64) i64 {
    return waddle.region(list(cursor, now, .keys));
}

export fn session_snapshot(cursor: i64, now: i64) i64 {
    return waddle.region(list(cursor, now, .snapshot));
}

export fn session_restore(pointer: [*]const u8, length: u32, now: i64) i64 {
    return waddle.done(restore(pointer[0..length], now));
}

// ---- Settings ---------------------------------------------------------------

/// They come as alternating names and values, each ended by a NUL.
fn open(config: []const u8) Error!void {
    var most: ?[]const u8 = null;
    var shards: ?usize = 1;
    var rest = config;
    while (rest.len > 0) {
        const setting = try cut(&rest);
        const value = try cut(&rest);
        if (std.mem.eql(u8, setting, "max_records")) {
            most = value;
        } else if (std.mem.eql(u8, setting, "shards")) {
            shards = number(value);
        } else if (!std.mem.eql(u8, setting, "shard") and !std.mem.eql(u8, setting, "memory_limit") and
            !std.mem.startsWith(u8, setting, "host_"))
        {
            return refuse(&.{ setting, " is unknown: this engine has max_records" });
        }
    }
    if (most) |text| {
        // It is for all shards together, and this instance is one of them.
        max_records = (number(text) orelse 0) / (shards orelse std.math.maxInt(usize));
        if (max_records == 0) {
            return refuse(&.{ "max_records is \"", text, "\": must be a whole number up to 999999999, and at least 1 for each shard" });
        }
    }
}

fn cut(rest: *[]const u8) Error![]const u8 {
    const end = std.mem.indexOfScalar(u8, rest.*, 0) orelse
        return fail(error.Invalid, "the config is not a list of names and values that end with NUL");
    defer rest.* = rest.*[end + 1 ..];
    return rest.*[0..end];
}

/// A whole number from 1 on, of up to nine digits.
fn number(text: []const u8) ?usize {
    if (text.len > 9) return null;
    var n: usize = 0;
    for (text) |c| {
        if (!std.ascii.isDigit(c)) return null;
        n = n * 10 + (c - '0');
    }
    return if (n > 0) n else null;
}

/// Says what is wrong with a setting. Of each part it shows the first 100 bytes.
fn refuse(parts: []const []const u8) Error {
    const start = "the setting ";
    var message: [512]u8 = undefined;
    message[0..start.len].* = start.*;
    var used: usize = start.len;
    for (parts) |part| {
        const shown = part[0..@min(part.len, 100)];
        @memcpy(message[used..][0..shown.len], shown);
        used += shown.len;
    }
    return fail(error.Invalid, message[0..used]);
}

// ---- Records ----------------------------------------------------------------

/// The record under a key, unless it has expired.
fn find(key: []const u8, now: i64) ?*Record {
    const record = records.getPtr(key) orelse return null;
    return if (expired(record.expires, now)) null else record;
}

/// Stores bytes, which are a key and a value, if expect allows it.
fn set(bytes: []const u8, key_len: usize, expires: i64, now: i64, expect: i64) Error!void {
    try checkSize(key_len, bytes.len - key_len);
    const key = bytes[0..key_len];
    const old = find(key, now);
    const allowed = switch (expect) {
        waddle.expect_any => true,
        waddle.expect_absent => old == null,
        else => if (old) |record| waddle.revision(record.value()) == expect else false,
    };
    if (!allowed) return error.Conflict;
    if (expired(expires, now)) return delete(key); // it would already have expired

    while (true) {
        if (makeRoom(if (records.contains(key)) 0 else 1)) {
            if (allocator.dupe(u8, bytes)) |copy| {
                return put(.{ .bytes = copy, .key_len = key_len, .expires = expires });
            } else |_| {}
        } else |_| {}
        if (dropExpired(now) == 0) return full();
    }
}

fn checkSize(key_len: usize, value_len: usize) Error!void {
    if (key_len == 0) return fail(error.Invalid, "the key is empty");
    if (key_len > max_key) return fail(error.TooLarge, std.fmt.comptimePrint("the key is longer than {d} bytes", .{max_key}));
    if (value_len > max_value) return fail(error.TooLarge, std.fmt.comptimePrint("the value is longer than {d} bytes", .{max_value}));
}

fn full() Error {
    return fail(error.NoSpace, "the store is full: raise max_records or the memory limit");
}

/// Makes room in the map for this many new keys.
fn makeRoom(new_keys: usize) !void {
    if (new_keys > max_records - records.count()) return error.NoSpace;
    try records.ensureUnusedCapacity(allocator, new_keys);
}

/// Stores a record, replacing the one with the same key. The caller has called
/// makeRoom: nothing here asks for memory.
fn put(record: Record) void {
    const entry = records.getOrPutAssumeCapacity(record.key());
    if (entry.found_existing) allocator.free(entry.value_ptr.bytes);
    entry.key_ptr.* = record.key();
    entry.value_ptr.* = record;
    expectExpiry(record.expires);
}

fn delete(key: []const u8) void {
    if (records.getIndex(key)) |place| drop(place);
}

fn drop(place: usize) void {
    const bytes = records.values()[place].bytes;
    records.swapRemoveAt(place); // looks at the key
    allocator.free(bytes);
}

/// Removes all expired records and returns how many there were.
fn dropExpired(now: i64) usize {
    if (now < soonest) return 0;
    const before = records.count();
    soonest = std.math.maxInt(i64);
    var place = before;
    while (place > 0) {
        place -= 1;
        const expires = records.values()[place].expires;
        if (expired(expires, now)) drop(place) else expectExpiry(expires);
    }
    return before - records.count();
}

/// Updates soonest after a record was given an expiry.
fn expectExpiry(expires: i64) void {
    if (expires != 0) soonest = @min(soonest, expires);
}

// ---- Lists ------------------------------------------------------------------

/// Builds a chunk in the exchange buffer. A cursor is the number of records still
/// to be seen; the first one is 0.
fn list(cursor: i64, now: i64, comptime what: enum { keys, snapshot }) Error![]const u8 {
    if (cursor < 0) return fail(error.Invalid, "the cursor is negative");
    var unseen: usize = records.count();
    if (cursor != 0 and cursor < unseen) unseen = @intCast(cursor);
    var used: usize = cursor_size;
    while (unseen > 0) : (unseen -= 1) {
        const record = records.values()[unseen - 1];
        if (expired(record.expires, now)) continue;
        const size = if (what == .keys) 4 + record.key_len else header_size + record.bytes.len;
        // An empty chunk takes any record.
        if (used > cursor_size and used + size > chunk_size) break;
        used = append(used, std.mem.asBytes(&@as(u32, @intCast(record.key_len))));
        if (what == .keys) {
            used = append(used, record.key());
        } else {
            used = append(used, std.mem.asBytes(&@as(u32, @intCast(record.value().len))));
            used = append(used, std.mem.asBytes(&record.expires));
            used = append(used, record.bytes);
        }
    }
    _ = append(0, std.mem.asBytes(&@as(u64, unseen)));
    return exchange[0..used];
}

fn append(used: usize, bytes: []const u8) usize {
    @memcpy(exchange[used..][0..bytes.len], bytes);
    return used + bytes.len;
}

/// A list of records, from which next cuts off one after the other.
const List = struct {
    rest: []const u8,

    const Item = struct { bytes: []const u8, key_len: usize, expires: i64 };

    fn next(self: *List) Error!?Item {
        if (self.rest.len == 0) return null;
        const malformed = "the list ends within a record";
        if (self.rest.len < header_size) return fail(error.Invalid, malformed);
        const key_len = std.mem.bytesToValue(u32, self.rest[0..4]);
        const value_len = std.mem.bytesToValue(u32, self.rest[4..8]);
        const expires = std.mem.bytesToValue(i64, self.rest[8..16]);
        const length = @as(u64, key_len) + value_len;
        if (length > self.rest.len - header_size) return fail(error.Invalid, malformed);
        const end = header_size + @as(usize, @intCast(length));
        defer self.rest = self.rest[end..];
        return .{ .bytes = self.rest[header_size..end], .key_len = key_len, .expires = expires };
    }
};

/// The whole list is stored or, on an error, nothing: it is checked first, then
/// copied, and only then put.
fn restore(bytes: []const u8, now: i64) Error!void {
    var count: usize = 0;
    var all = List{ .rest = bytes };
    while (try all.next()) |item| : (count += 1) try checkSize(item.key_len, item.bytes.len - item.key_len);
    while (true) {
        if (restoreAll(bytes, count, now)) return else |_| {}
        if (dropExpired(now) == 0) return full();
    }
}

fn restoreAll(bytes: []const u8, count: usize, now: i64) !void {
    const copies = try allocator.alloc(Record, count);
    defer allocator.free(copies);
    var copied: usize = 0;
    errdefer for (copies[0..copied]) |copy| allocator.free(copy.bytes);
    var new_keys: usize = 0;
    var all = List{ .rest = bytes };
    while (try all.next()) |item| {
        if (expired(item.expires, now)) continue;
        const copy = try allocator.dupe(u8, item.bytes);
        copies[copied] = .{ .bytes = copy, .key_len = item.key_len, .expires = item.expires };
        if (!records.contains(copies[copied].key())) new_keys += 1;
        copied += 1;
    }
    try makeRoom(new_keys);
    for (copies[0..copied]) |copy| put(copy);
}
