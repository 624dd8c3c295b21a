// The storage interface of Waddle, version 1, as AssemblyScript sees it.
//
// The contract itself, which says what each function must do, is
// https://github.com/waddle-sessions/waddle/blob/main/abi/SPEC.md

// Answers less than zero are errors.
export const NOT_FOUND: i64 = -1; // no record is stored under the key, or it has expired
export const INVALID: i64 = -2; // an argument or setting cannot be accepted
export const TOO_LARGE: i64 = -3; // the key or value is larger than this store takes
export const NO_SPACE: i64 = -4; // there is no room, and none can be made
export const UNAVAILABLE: i64 = -5; // not possible now; the same call may succeed later
export const CONFLICT: i64 = -6; // the stored revision is not the expected one
export const CORRUPT: i64 = -7; // a record is stored but cannot be read
export const DENIED: i64 = -8; // the backend refuses access
export const UNSUPPORTED: i64 = -9; // the store does not have this operation
export const INTERNAL: i64 = -10; // a fault within the store

// What expect can be other than a revision.
export const EXPECT_ANY: i64 = 0;
export const EXPECT_ABSENT: i64 = -1;

@external("waddle_v1", "fail")
declare function importFail(text: usize, length: i32): void;

/** Returns an error code and says why. The message must not contain keys or values. */
export function fail(code: i64, why: string): i64 {
  const text = String.UTF8.encode(why);
  importFail(changetype<usize>(text), text.byteLength);
  return code;
}

/**
 * The answer of an operation that returns bytes: where they are and how many. They
 * must stay as they are until the next call.
 */
export function region(pointer: usize, length: i32): i64 {
  return (<i64>pointer << 32) | <i64>length;
}

/** Whether a record is gone: expires is the first millisecond at which it is; 0 means never. */
export function expired(expires: i64, now: i64): bool {
  return expires != 0 && now >= expires;
}

/** The first eight bytes of a value as a number. Missing bytes of a shorter value count as zero. */
export function revision(value: usize, length: i32): i64 {
  if (length >= 8) return load<i64>(value);
  let number: i64 = 0;
  for (let i = 0; i < length; i++) number |= <i64>load<u8>(value + i) << (8 * i);
  return number;
}
