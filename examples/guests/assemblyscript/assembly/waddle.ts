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

// ---- A server, for a store that was granted its address ---------------------

@external("waddle_v1", "dial")
declare function importDial(address: usize, length: i32): i32;
@external("waddle_v1", "conn_wait")
declare function importWait(conn: i32, events: i32, timeoutMs: i64): i32;
@external("waddle_v1", "conn_read")
declare function importRead(conn: i32, to: usize, length: i32, timeoutMs: i64): i32;
@external("waddle_v1", "conn_write")
declare function importWrite(conn: i32, from: usize, length: i32, timeoutMs: i64): i32;
@external("waddle_v1", "conn_start_tls")
declare function importStartTLS(conn: i32, name: usize, length: i32): i32;
@external("waddle_v1", "conn_error")
declare function importError(conn: i32, to: usize, length: i32): i32;
@external("waddle_v1", "conn_close")
declare function importClose(conn: i32): i32;

/**
 * A connection. Each operation waits no longer than timeoutMs; -1 is as long as the host allows. What is
 * less than 0 has failed: an error number of WASI, negated, such as -2 for an address that is not
 * granted, -6 for a timeout, -73 if this call may not wait any longer.
 */
export class Conn {
  private number: i32 = -1;

  /** Connects to "tcp://host:port", "tls://host:port" or "unix:///path". Returns 0, or less if it failed. */
  dial(address: string, timeoutMs: i64): i32 {
    const text = String.UTF8.encode(address);
    this.number = importDial(changetype<usize>(text), text.byteLength);
    return this.number < 0 ? this.number : min(0, importWait(this.number, 2, timeoutMs));
  }

  /** Reads what there is. Returns how many bytes, 0 at the end. */
  read(to: usize, length: i32, timeoutMs: i64): i32 {
    return importRead(this.number, to, length, timeoutMs);
  }

  /** Writes everything. Returns 0, or less if it failed. */
  write(from: usize, length: i32, timeoutMs: i64): i32 {
    while (length > 0) {
      const n = importWrite(this.number, from, length, timeoutMs);
      if (n < 0) return n;
      from += n;
      length -= n;
    }
    return 0;
  }

  /** Begins TLS on a connection of tcp. The other side's certificate must have the name. */
  startTLS(name: string, timeoutMs: i64): i32 {
    const text = String.UTF8.encode(name);
    const n = importStartTLS(this.number, changetype<usize>(text), text.byteLength);
    return n < 0 ? n : min(0, importWait(this.number, 2, timeoutMs));
  }

  /** Whether it is open, and the other side has neither closed it nor sent what nobody asked for. */
  alive(): bool {
    return this.number >= 0 && importWait(this.number, 1, 0) == -6;
  }

  /** What failed last, in words. */
  failure(): string {
    const text = new ArrayBuffer(256);
    return String.UTF8.decodeUnsafe(changetype<usize>(text), max(0, importError(this.number, changetype<usize>(text), 256)));
  }

  close(): void {
    if (this.number >= 0) importClose(this.number);
    this.number = -1;
  }
}
