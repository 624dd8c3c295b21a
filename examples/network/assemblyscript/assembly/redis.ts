import { Conn, DENIED, UNAVAILABLE, fail } from "../../../guests/assemblyscript/assembly/waddle";

const TIMEOUT: i64 = 2000; // ms, of each wait for the server
const MAX_LINE = 4096;
const ROOM = 8192; // for what surrounds a record in a command or an answer

/** A connection to Redis, the command that is being made for it, and the last answer. */
export class Redis {
  address: string = "";
  private conn: Conn = new Conn();

  private out: StaticArray<u8>;
  private used: i32 = 0;
  private in: StaticArray<u8>;
  private received: i32 = 0;
  private taken: i32 = 0;

  /** Where the answer lies, until the next command, and its length, -1 for nothing. */
  bytes: usize = 0;
  length: i32 = 0;

  constructor(private most: i32) {
    this.out = new StaticArray<u8>(most + ROOM);
    this.in = new StaticArray<u8>(most + ROOM);
  }

  // ---- The command ----

  begin(count: i32): void {
    this.used = 0;
    this.line("*", count);
  }

  private line(type: string, n: i32): void {
    this.add(type + n.toString() + "\r\n");
  }

  private add(s: string): void {
    this.used += <i32>String.UTF8.encodeUnsafe(changetype<usize>(s), s.length, changetype<usize>(this.out) + this.used);
  }

  private copy(from: usize, length: i32): void {
    memory.copy(changetype<usize>(this.out) + this.used, from, length);
    this.used += length;
  }

  text(s: string): void {
    this.line("$", String.UTF8.byteLength(s));
    this.add(s + "\r\n");
  }

  name(prefix: string, key: usize, keyLength: i32): void {
    this.line("$", String.UTF8.byteLength(prefix) + keyLength);
    this.add(prefix);
    this.copy(key, keyLength);
    this.add("\r\n");
  }

  number(n: i64): void {
    this.record(n, 0, 0);
  }

  /** A number, and what follows it. */
  record(n: i64, value: usize, valueLength: i32): void {
    this.line("$", 8 + valueLength);
    store<i64>(changetype<usize>(this.out) + this.used, n);
    this.used += 8;
    this.copy(value, valueLength);
    this.add("\r\n");
  }

  // ---- The answer ----

  /** Sends the command and reads the answer. Returns 0, or a code. */
  call(): i64 {
    if (!this.conn.alive()) { // the server may have closed it while it was idle
      this.conn.close();
      this.received = this.taken = 0;
      const failed = this.conn.dial(this.address, TIMEOUT);
      if (failed < 0) return this.lost(failed);
    }
    const failed = this.conn.write(changetype<usize>(this.out), this.used, TIMEOUT);
    if (failed < 0) return this.lost(failed);

    let length = 0;
    for (; ; length++) {
      if (length == MAX_LINE) return this.lost(0);
      const code = this.receive(length + 1);
      if (code < 0) return code;
      if (this.in[this.taken + length] == 0x0a) break;
    }
    if (length < 2) return this.lost(0);
    const type = this.in[this.taken];
    this.bytes = changetype<usize>(this.in) + this.taken + 1;
    this.length = length - 2;
    this.taken += length + 1;
    if (type == 0x2d) { // '-'; only the first word: the rest may have a key
      return fail(UNAVAILABLE, this.lineText().split(" ")[0]);
    }
    if (type != 0x24) return 0; // '$'

    const n = I32.parseInt(this.lineText());
    this.length = n;
    if (n < 0) return 0;
    if (n > this.most) return this.lost(0);
    const code = this.receive(n + 2);
    this.bytes = changetype<usize>(this.in) + this.taken;
    this.taken += n + 2;
    return code;
  }

  private lineText(): string {
    return String.UTF8.decodeUnsafe(this.bytes, this.length);
  }

  /** Whether the answer is 0. */
  isZero(): bool {
    return this.length == 1 && load<u8>(this.bytes) == 0x30;
  }

  /** Waits until so many bytes can be taken. */
  private receive(n: i32): i64 {
    if (this.received - this.taken >= n) return 0;
    const start = changetype<usize>(this.in);
    memory.copy(start, start + this.taken, this.received - this.taken);
    this.received -= this.taken;
    this.taken = 0;
    while (this.received < n) {
      const got = this.conn.read(start + this.received, this.in.length - this.received, TIMEOUT);
      if (got <= 0) return this.lost(got);
      this.received += got;
    }
    return 0;
  }

  /**
   * Ends the connection: an answer that comes later must not be taken for another's. Nobody knows whether
   * the command was done, which UNAVAILABLE says.
   */
  private lost(error: i32): i64 {
    const why = "the server: error " + (-error).toString() + " of WASI " + this.conn.failure();
    this.conn.close();
    return fail(error == -2 ? DENIED : UNAVAILABLE, why);
  }
}
