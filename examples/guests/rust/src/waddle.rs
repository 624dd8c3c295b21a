//! The storage interface of Waddle, version 1, as Rust sees it.
//!
//! The contract itself, which says what each function must do, is
//! <https://github.com/waddle-sessions/waddle/blob/main/abi/SPEC.md>

/// What an operation answers when it has not succeeded.
#[allow(dead_code)] // a store need not have them all
#[derive(Clone, Copy)]
#[repr(i64)]
pub enum Error {
    NotFound = -1,    // no record is stored under the key, or it has expired
    Invalid = -2,     // an argument or setting cannot be accepted
    TooLarge = -3,    // the key or value is larger than this store takes
    NoSpace = -4,     // there is no room, and none can be made
    Unavailable = -5, // not possible now; the same call may succeed later
    Conflict = -6,    // the stored revision is not the expected one
    Corrupt = -7,     // a record is stored but cannot be read
    Denied = -8,      // the backend refuses access
    Unsupported = -9, // the store does not have this operation
    Internal = -10,   // a fault within the store
}

/// What `expect` can be other than a revision.
pub const EXPECT_ANY: i64 = 0;
pub const EXPECT_ABSENT: i64 = -1;

#[link(wasm_import_module = "waddle_v1")]
extern "C" {
    #[link_name = "fail"]
    fn import_fail(text: *const u8, length: usize);
}

/// Returns an error and says why. The message must not contain keys or values.
pub fn fail(error: Error, why: &str) -> Error {
    unsafe { import_fail(why.as_ptr(), why.len()) };
    error
}

/// The answer of an operation that returns bytes: where they are and how many.
/// They must stay as they are until the next call.
pub fn region(result: Result<&[u8], Error>) -> i64 {
    match result {
        Ok(bytes) => (bytes.as_ptr() as i64) << 32 | bytes.len() as i64,
        Err(error) => error as i64,
    }
}

/// The answer of an operation that returns nothing.
pub fn done(result: Result<(), Error>) -> i64 {
    match result {
        Ok(()) => 0,
        Err(error) => error as i64,
    }
}

/// What the host passes as a pointer and a length: a part of the exchange buffer.
///
/// # Safety
/// It is valid during the call only.
pub unsafe fn bytes<'a>(pointer: *const u8, length: usize) -> &'a [u8] {
    if length == 0 {
        return &[];
    }
    std::slice::from_raw_parts(pointer, length)
}

/// Whether a record is gone: `expires` is the first millisecond at which it is; 0
/// means never.
pub fn expired(expires: i64, now: i64) -> bool {
    expires != 0 && now >= expires
}

/// The first eight bytes of a value as a number. Missing bytes of a shorter value
/// count as zero.
pub fn revision(value: &[u8]) -> i64 {
    let mut first = [0; 8];
    let n = value.len().min(8);
    first[..n].copy_from_slice(&value[..n]);
    i64::from_le_bytes(first)
}

// ---- A server, for a store that was granted its address ---------------------

#[link(wasm_import_module = "waddle_v1")]
extern "C" {
    fn dial(address: *const u8, length: usize) -> i32;
    fn conn_wait(conn: i32, events: i32, timeout_ms: i64) -> i32;
    fn conn_read(conn: i32, to: *mut u8, length: usize, timeout_ms: i64) -> i32;
    fn conn_write(conn: i32, from: *const u8, length: usize, timeout_ms: i64) -> i32;
    fn conn_start_tls(conn: i32, name: *const u8, length: usize) -> i32;
    fn conn_error(conn: i32, to: *mut u8, length: usize) -> i32;
    fn conn_close(conn: i32) -> i32;
}

/// An error number of WASI, such as 2 for an address that is not granted, 6 for a timeout,
/// 73 if this call may not wait any longer.
pub type Errno = i32;

fn outcome(result: i32) -> Result<usize, Errno> {
    if result < 0 { Err(-result) } else { Ok(result as usize) }
}

/// A connection, which is closed when it is dropped. Each operation waits no longer than
/// `timeout_ms`; -1 is as long as the host allows.
#[allow(dead_code)]
pub struct Conn(i32);

#[allow(dead_code)] // most stores need no server
impl Conn {
    /// Connects to `tcp://host:port`, `tls://host:port` or `unix:///path`.
    pub fn dial(address: &str, timeout_ms: i64) -> Result<Conn, Errno> {
        let conn = Conn(outcome(unsafe { dial(address.as_ptr(), address.len()) })? as i32);
        conn.wait(2, timeout_ms)?;
        Ok(conn)
    }

    fn wait(&self, events: i32, timeout_ms: i64) -> Result<usize, Errno> {
        outcome(unsafe { conn_wait(self.0, events, timeout_ms) })
    }

    /// Reads what there is, and returns how much; 0 is the end.
    pub fn read(&mut self, to: &mut [u8], timeout_ms: i64) -> Result<usize, Errno> {
        outcome(unsafe { conn_read(self.0, to.as_mut_ptr(), to.len(), timeout_ms) })
    }

    /// Writes everything.
    pub fn write(&mut self, mut from: &[u8], timeout_ms: i64) -> Result<(), Errno> {
        while !from.is_empty() {
            let n = outcome(unsafe { conn_write(self.0, from.as_ptr(), from.len(), timeout_ms) })?;
            from = &from[n..];
        }
        Ok(())
    }

    /// Begins TLS on a connection of tcp. The other side's certificate must have the name.
    pub fn start_tls(&mut self, name: &str, timeout_ms: i64) -> Result<(), Errno> {
        outcome(unsafe { conn_start_tls(self.0, name.as_ptr(), name.len()) })?;
        self.wait(2, timeout_ms)?;
        Ok(())
    }

    /// Whether the other side has neither closed the connection nor sent what nobody asked for.
    pub fn alive(&self) -> bool {
        self.wait(1, 0) == Err(6)
    }

    /// What failed last, in words.
    pub fn error(&self) -> String {
        let mut text = [0; 256];
        let n = outcome(unsafe { conn_error(self.0, text.as_mut_ptr(), text.len()) }).unwrap_or(0);
        String::from_utf8_lossy(&text[..n]).into_owned()
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        unsafe { conn_close(self.0) };
    }
}
