//! A storage plugin for Waddle in Zig that keeps sessions in Redis or Valkey.
//!
//! A host calls the exported functions, one at a time. Each sends a command over one connection
//! and waits for the answer. Any instance serves any key, since no record lies in an instance
//! ("remote").

const std = @import("std");
const waddle = @import("waddle");
const Error = waddle.Error;
const expired = waddle.expired;
const fail = waddle.fail;

const max_key = 1024;
const max_value = 262144;
const header_size = 8; // of a record: when it expires
const room = 8192; // for what surrounds a record in a command or an answer
const timeout_ms = 2000;

/// Begins both scripts: whether the record is there at ARGV[1]. The host's time decides, of
/// which half fits into a number of Lua.
const live =
    \\local record, live = redis.call('GETRANGE', KEYS[1], 0, 15), false
    \\if #record >= 8 then
    \\  local elow, ehigh = struct.unpack('<I4i4', record)
    \\  local low, high = struct.unpack('<I4i4', ARGV[1])
    \\  live = (elow == 0 and ehigh == 0) or high < ehigh or (high == ehigh and low < elow)
    \\end
    \\
;
const set_script = live ++
    \\if ARGV[2] == 'absent' then
    \\  if live then return 0 end
    \\elseif ARGV[2] ~= 'any' then
    \\  if not live or string.sub(string.sub(record, 9) .. string.rep('\0', 8), 1, 8) ~= ARGV[2] then return 0 end
    \\end
    \\if ARGV[3] == '' then redis.call('DEL', KEYS[1])
    \\else redis.call('SET', KEYS[1], ARGV[3]) end
    \\if ARGV[4] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
    \\return 1
;
const touch_script = live ++
    \\if not live then return 0 end
    \\if ARGV[2] == '' then redis.call('DEL', KEYS[1])
    \\else redis.call('SETRANGE', KEYS[1], 0, ARGV[2]) redis.call('PERSIST', KEYS[1]) end
    \\if ARGV[3] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
    \\return 1
;
const clear_script =
    \\local cursor = '0'
    \\repeat
    \\  local page = redis.call('SCAN', cursor, 'MATCH', ARGV[1] .. '*', 'COUNT', 1000)
    \\  cursor = page[1]
    \\  for _, name in ipairs(page[2]) do redis.call('UNLINK', name) end
    \\until cursor == '0'
;

var address_buffer: [512]u8 = undefined;
var prefix_buffer: [128]u8 = undefined;
var address: []const u8 = "";
var prefix: []const u8 = "waddle:";

var conn: ?waddle.Conn = null;
var exchange: [max_key + max_value]u8 = undefined;
var out: [max_value + room]u8 = undefined; // a command
var in: [max_value + room]u8 = undefined; // answers, of which some was taken
var received: usize = 0;
var taken: usize = 0;

// ---- What a host calls ------------------------------------------------------

export fn session_abi_v1() void {} // the marker; never called

export fn session_describe() i64 {
    return waddle.region(std.fmt.comptimePrint(
        "name\x00example-redis\x00version\x001.0.0\x00capabilities\x00cas remote\x00max_key\x00{d}\x00max_value\x00{d}\x00",
        .{ max_key, max_value },
    ));
}

export fn session_alloc(size: usize) ?[*]u8 {
    return if (size <= exchange.len) &exchange else null;
}

export fn session_open(config: [*]const u8, length: usize) i64 {
    return waddle.done(open(config[0..length]));
}

export fn session_get(key: [*]const u8, key_len: usize, now: i64) i64 {
    return waddle.region(get(key[0..key_len], now));
}

export fn session_set(key: [*]const u8, key_len: usize, value: [*]const u8, value_len: usize, expires: i64, now: i64, expect: i64) i64 {
    return waddle.done(set(key[0..key_len], value[0..value_len], expires, now, expect));
}

export fn session_touch(key: [*]const u8, key_len: usize, expires: i64, now: i64) i64 {
    return waddle.done(touch(key[0..key_len], expires, now));
}

export fn session_delete(key: [*]const u8, key_len: usize, _: i64) i64 {
    return waddle.done(run(&.{ &.{"DEL"}, &.{ prefix, key[0..key_len] } }));
}

/// Redis serves nobody else meanwhile. A store for many users removes a page at a time.
export fn session_clear(_: i64) i64 {
    return waddle.done(run(&.{ &.{"EVAL"}, &.{clear_script}, &.{"0"}, &.{prefix} }));
}

/// What was answered is as safe as the settings of the server make it.
export fn session_save(_: i64) i64 {
    return 0;
}

// ---- The store --------------------------------------------------------------

/// The settings come as alternating names and values, each ended by a NUL.
fn open(config: []const u8) Error!void {
    var parts = std.mem.splitScalar(u8, config, 0);
    while (parts.next()) |name| {
        const value = parts.next() orelse break;
        if (std.mem.eql(u8, name, "address")) {
            address = try keep(&address_buffer, value);
        } else if (std.mem.eql(u8, name, "prefix")) {
            prefix = try keep(&prefix_buffer, value);
        } else if (!std.mem.startsWith(u8, name, "host_") and !std.mem.eql(u8, name, "shard") and
            !std.mem.eql(u8, name, "shards") and !std.mem.eql(u8, name, "memory_limit"))
        {
            return refuse(name, "is unknown: this engine has address, prefix");
        }
    }
    if (address.len == 0) return refuse("address", "is missing: must be tcp://host:port, tls://host:port or unix:///path");
    if (std.mem.indexOfAny(u8, prefix, "*?[]\\") != null) return refuse("prefix", "must have none of *?[]\\");
    return run(&.{&.{"PING"}});
}

fn keep(buffer: []u8, value: []const u8) Error![]const u8 {
    if (value.len > buffer.len) return fail(error.Invalid, "a setting is too long");
    @memcpy(buffer[0..value.len], value);
    return buffer[0..value.len];
}

fn refuse(name: []const u8, why: []const u8) Error {
    var message: [256]u8 = undefined;
    const short = name[0..@min(name.len, 100)];
    return fail(error.Invalid, std.fmt.bufPrint(&message, "the setting {s} {s}", .{ short, why }) catch why);
}

fn get(key: []const u8, now: i64) Error![]const u8 {
    const record = try call(&.{ &.{"GET"}, &.{ prefix, key } }) orelse return error.NotFound;
    if (record.len < header_size) return error.Corrupt;
    if (expired(std.mem.bytesToValue(i64, record[0..header_size]), now)) return error.NotFound;
    return record[header_size..];
}

fn set(key: []const u8, value: []const u8, expires: i64, now: i64, expect: i64) Error!void {
    if (key.len > max_key or value.len > max_value) return fail(error.TooLarge, "the key or value is longer than this store takes");
    const expected = switch (expect) {
        waddle.expect_any => "any",
        waddle.expect_absent => "absent",
        else => std.mem.asBytes(&expect),
    };
    const record: []const []const u8 = if (expired(expires, now)) &.{""} else &.{ std.mem.asBytes(&expires), value };
    var digits: [20]u8 = undefined;
    const answer = try call(&.{ &.{"EVAL"}, &.{set_script}, &.{"1"}, &.{ prefix, key }, &.{std.mem.asBytes(&now)}, &.{expected}, record, &.{dropAfter(&digits, expires, now)} });
    if (std.mem.eql(u8, answer orelse "", "0")) return error.Conflict;
}

fn touch(key: []const u8, expires: i64, now: i64) Error!void {
    const header = if (expired(expires, now)) "" else std.mem.asBytes(&expires);
    var digits: [20]u8 = undefined;
    const answer = try call(&.{ &.{"EVAL"}, &.{touch_script}, &.{"1"}, &.{ prefix, key }, &.{std.mem.asBytes(&now)}, &.{header}, &.{dropAfter(&digits, expires, now)} });
    if (std.mem.eql(u8, answer orelse "", "0")) return error.NotFound;
}

/// When Redis drops a record, by its own clock: a minute after it has expired. 0 means never.
fn dropAfter(digits: []u8, expires: i64, now: i64) []const u8 {
    const ms = expires -% now;
    const after = if (expires != 0 and ms > 0 and ms < 1 << 40) ms + 60_000 else 0;
    return std.fmt.bufPrint(digits, "{}", .{after}) catch "0";
}

// ---- Redis ------------------------------------------------------------------

fn run(args: []const []const []const u8) Error!void {
    _ = try call(args);
}

/// Sends a command, each of whose arguments is given in parts, and returns what Redis answers.
/// That is valid until the next call.
fn call(args: []const []const []const u8) Error!?[]const u8 {
    const to = try connected();
    var used: usize = (std.fmt.bufPrint(&out, "*{}\r\n", .{args.len}) catch unreachable).len;
    for (args) |parts| {
        var length: usize = 0;
        for (parts) |part| length += part.len;
        used += (std.fmt.bufPrint(out[used..], "${}\r\n", .{length}) catch unreachable).len;
        for (parts) |part| used += append(used, part);
        used += append(used, "\r\n");
    }
    to.write(out[0..used], timeout_ms) catch |err| return lost(err);
    const line = try takeLine();
    switch (line[0]) {
        '-' => { // only the first word: the rest may have a key
            const end = std.mem.indexOfScalar(u8, line, ' ') orelse line.len;
            return fail(error.Unavailable, line[1..end]);
        },
        '$' => {
            const n = std.fmt.parseInt(usize, line[1..], 10) catch return null; // -1
            if (n > header_size + max_value) return lost(error.Failed);
            try receive(n + 2);
            taken += n + 2;
            return in[taken - n - 2 .. taken - 2];
        },
        else => return line[1..],
    }
}

fn append(used: usize, part: []const u8) usize {
    @memcpy(out[used..][0..part.len], part);
    return part.len;
}

fn connected() Error!waddle.Conn {
    if (conn) |c| {
        if (c.alive()) return c;
        c.close(); // the server has closed it while it was idle
        conn = null;
    }
    received = 0;
    taken = 0;
    conn = waddle.Conn.dial(address, timeout_ms) catch |err| return lost(err);
    return conn.?;
}

/// The next line, without its end. It has at least one byte.
fn takeLine() Error![]const u8 {
    var length: usize = 0;
    while (true) : (length += 1) {
        if (length == 4096) return lost(error.Failed);
        try receive(length + 1);
        if (in[taken + length] == '\n') break;
    }
    if (length < 2) return lost(error.Failed);
    taken += length + 1;
    return in[taken - length - 1 .. taken - 2];
}

/// Waits until there are n bytes to be taken.
fn receive(n: usize) Error!void {
    if (received - taken >= n) return;
    std.mem.copyForwards(u8, &in, in[taken..received]);
    received -= taken;
    taken = 0;
    while (received < n) {
        const got = conn.?.read(in[received..], timeout_ms) catch |err| return lost(err);
        if (got == 0) return lost(error.Failed);
        received += got;
    }
}

/// Ends the connection: an answer that comes later must not be taken for another's. Nobody knows
/// whether the command was done, which Unavailable says.
fn lost(err: waddle.NetworkError) Error {
    var message: [256]u8 = undefined;
    var why: []const u8 = @errorName(err);
    if (conn) |c| {
        const said = c.failure(&message);
        if (said.len > 0) why = said;
        c.close();
        conn = null;
    }
    return fail(if (err == error.NotGranted) error.Denied else error.Unavailable, why);
}
