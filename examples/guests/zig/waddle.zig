//! The storage interface of Waddle, version 1, as Zig sees it.
//!
//! The contract itself, which says what each function must do, is
//! https://github.com/waddle-sessions/waddle/blob/main/abi/SPEC.md

/// What an operation answers when it has not succeeded.
pub const Error = error{
    NotFound, // no record is stored under the key, or it has expired
    Invalid, // an argument or setting cannot be accepted
    TooLarge, // the key or value is larger than this store takes
    NoSpace, // there is no room, and none can be made
    Unavailable, // not possible now; the same call may succeed later
    Conflict, // the stored revision is not the expected one
    Corrupt, // a record is stored but cannot be read
    Denied, // the backend refuses access
    Unsupported, // the store does not have this operation
    Internal, // a fault within the store
};

fn code(err: Error) i64 {
    return switch (err) {
        error.NotFound => -1,
        error.Invalid => -2,
        error.TooLarge => -3,
        error.NoSpace => -4,
        error.Unavailable => -5,
        error.Conflict => -6,
        error.Corrupt => -7,
        error.Denied => -8,
        error.Unsupported => -9,
        error.Internal => -10,
    };
}

/// What expect can be other than a revision.
pub const expect_any: i64 = 0;
pub const expect_absent: i64 = -1;

const imports = struct {
    extern "waddle_v1" fn fail(text: [*]const u8, length: u32) void;
};

/// Returns an error and says why. The message must not contain keys or values.
pub fn fail(err: Error, why: []const u8) Error {
    imports.fail(why.ptr, @intCast(why.len));
    return err;
}

/// The answer of an operation that returns bytes: where they are and how many.
/// They must stay as they are until the next call.
pub fn region(result: Error![]const u8) i64 {
    const bytes = result catch |err| return code(err);
    return @as(i64, @intCast(@intFromPtr(bytes.ptr))) << 32 | @as(i64, @intCast(bytes.len));
}

/// The answer of an operation that returns nothing.
pub fn done(result: Error!void) i64 {
    result catch |err| return code(err);
    return 0;
}

/// Whether a record is gone: expires is the first millisecond at which it is; 0
/// means never.
pub fn expired(expires: i64, now: i64) bool {
    return expires != 0 and now >= expires;
}

/// The first eight bytes of a value as a number. Missing bytes of a shorter value
/// count as zero. WebAssembly is little-endian, and so are revisions.
pub fn revision(value: []const u8) i64 {
    var first = [_]u8{0} ** 8;
    const n = @min(value.len, 8);
    @memcpy(first[0..n], value[0..n]);
    return @bitCast(first);
}

// ---- A server, for a store that was granted its address ---------------------

const network = struct {
    extern "waddle_v1" fn dial(address: [*]const u8, length: u32) i32;
    extern "waddle_v1" fn conn_wait(conn: i32, events: i32, timeout_ms: i64) i32;
    extern "waddle_v1" fn conn_read(conn: i32, to: [*]u8, length: u32, timeout_ms: i64) i32;
    extern "waddle_v1" fn conn_write(conn: i32, from: [*]const u8, length: u32, timeout_ms: i64) i32;
    extern "waddle_v1" fn conn_start_tls(conn: i32, name: [*]const u8, length: u32) i32;
    extern "waddle_v1" fn conn_error(conn: i32, to: [*]u8, length: u32) i32;
    extern "waddle_v1" fn conn_close(conn: i32) i32;
};

pub const NetworkError = error{
    NotGranted, // no grant has the address
    TimedOut, // nothing within the timeout, or this call may not wait any longer
    Failed, // Conn.failure says how
};

fn outcome(result: i32) NetworkError!u32 {
    if (result >= 0) return @intCast(result);
    return switch (-result) { // error numbers of WASI
        2 => error.NotGranted,
        6, 73 => error.TimedOut,
        else => error.Failed,
    };
}

/// A connection. Each operation waits no longer than timeout_ms; -1 is as long as the
/// host allows.
pub const Conn = struct {
    number: i32,

    /// Connects to "tcp://host:port", "tls://host:port" or "unix:///path".
    pub fn dial(address: []const u8, timeout_ms: i64) NetworkError!Conn {
        const conn = Conn{ .number = @intCast(try outcome(network.dial(address.ptr, @intCast(address.len)))) };
        errdefer conn.close();
        _ = try outcome(network.conn_wait(conn.number, 2, timeout_ms));
        return conn;
    }

    /// Reads what there is, and returns how much; 0 is the end.
    pub fn read(conn: Conn, to: []u8, timeout_ms: i64) NetworkError!u32 {
        return outcome(network.conn_read(conn.number, to.ptr, @intCast(to.len), timeout_ms));
    }

    /// Writes everything.
    pub fn write(conn: Conn, from: []const u8, timeout_ms: i64) NetworkError!void {
        var rest = from;
        while (rest.len > 0) {
            rest = rest[try outcome(network.conn_write(conn.number, rest.ptr, @intCast(rest.len), timeout_ms))..];
        }
    }

    /// Begins TLS on a connection of tcp. The other side's certificate must have the name.
    pub fn startTLS(conn: Conn, name: []const u8, timeout_ms: i64) NetworkError!void {
        _ = try outcome(network.conn_start_tls(conn.number, name.ptr, @intCast(name.len)));
        _ = try outcome(network.conn_wait(conn.number, 2, timeout_ms));
    }

    /// Whether the other side has neither closed the connection nor sent what nobody asked for.
    pub fn alive(conn: Conn) bool {
        return network.conn_wait(conn.number, 1, 0) == -6;
    }

    /// What failed last, in words.
    pub fn failure(conn: Conn, to: []u8) []const u8 {
        return to[0 .. outcome(network.conn_error(conn.number, to.ptr, @intCast(to.len))) catch 0];
    }

    pub fn close(conn: Conn) void {
        _ = network.conn_close(conn.number);
    }
};
