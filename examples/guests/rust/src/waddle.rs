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
