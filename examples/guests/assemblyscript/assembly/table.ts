// The records: in one list, without gaps and in no particular order, and in a hash
// table that finds them by key.

import { expired } from "./waddle";

export class Record {
  next: Record | null = null; // of the same bucket
  place: i32 = 0; // in the list

  /** A record has a copy of the key and the value, one after the other, at key. */
  constructor(key: usize, public keyLength: i32, valueLength: i32, public hash: u32, public expires: i64) {
    this.bytes = new StaticArray<u8>(keyLength + valueLength);
    memory.copy(changetype<usize>(this.bytes), key, keyLength + valueLength);
  }

  bytes: StaticArray<u8>;

  get key(): usize {
    return changetype<usize>(this.bytes);
  }
  get value(): usize {
    return this.key + this.keyLength;
  }
  get valueLength(): i32 {
    return this.bytes.length - this.keyLength;
  }
}

/** What a record takes beyond key and value, in bytes. */
const OVERHEAD: i64 = 112;

export function sizeOf(keyLength: i32, valueLength: i32): i64 {
  return OVERHEAD + <i64>keyLength + <i64>valueLength;
}

export class Table {
  records: Array<Record> = [];
  bytes: i64 = 0; // what all of them take

  /**
   * No record expires before soonest: until then there is no point in looking for one.
   */
  soonest: i64 = i64.MAX_VALUE;

  private buckets: StaticArray<Record | null> = new StaticArray<Record | null>(64);

  get count(): i32 {
    return this.records.length;
  }

  /** The record under a key, expired or not. */
  find(key: usize, keyLength: i32): Record | null {
    const hash = hashOf(key, keyLength);
    let r = this.buckets[this.bucket(hash)];
    while (r) {
      if (r.hash == hash && r.keyLength == keyLength && memory.compare(r.key, key, keyLength) == 0) break;
      r = r.next;
    }
    return r;
  }

  findLive(key: usize, keyLength: i32, now: i64): Record | null {
    const r = this.find(key, keyLength);
    return r && !expired(r.expires, now) ? r : null;
  }

  /** Stores a record, replacing the one with the same key. */
  put(key: usize, keyLength: i32, valueLength: i32, expires: i64): void {
    const old = this.find(key, keyLength);
    const r = new Record(key, keyLength, valueLength, hashOf(key, keyLength), expires);
    if (old) {
      this.unlink(old);
      r.place = old.place;
      this.bytes -= sizeOf(old.keyLength, old.valueLength);
      this.records[r.place] = r;
    } else {
      if (this.count == this.buckets.length) this.grow();
      r.place = this.records.push(r) - 1;
    }
    this.bytes += sizeOf(keyLength, valueLength);
    this.link(r);
    this.expect(expires);
  }

  /** Removes a record. The last of the list moves to its place. */
  drop(r: Record): void {
    this.unlink(r);
    this.bytes -= sizeOf(r.keyLength, r.valueLength);
    const last = this.records.pop();
    if (last != r) {
      last.place = r.place;
      this.records[r.place] = last;
    }
  }

  /** Removes all expired records and returns how many there were. */
  dropExpired(now: i64): i32 {
    if (now < this.soonest) return 0;
    const before = this.count;
    this.soonest = i64.MAX_VALUE;
    for (let i = before - 1; i >= 0; i--) {
      const r = this.records[i];
      if (expired(r.expires, now)) this.drop(r);
      else this.expect(r.expires);
    }
    return before - this.count;
  }

  /** Updates soonest after a record was given an expiry. */
  expect(expires: i64): void {
    if (expires != 0 && expires < this.soonest) this.soonest = expires;
  }

  clear(): void {
    this.records = [];
    this.buckets = new StaticArray<Record | null>(64);
    this.bytes = 0;
    this.soonest = i64.MAX_VALUE;
  }

  /** The number of buckets is a power of two, and never less than that of records. */
  private bucket(hash: u32): i32 {
    return hash & (this.buckets.length - 1);
  }

  private grow(): void {
    this.buckets = new StaticArray<Record | null>(this.buckets.length * 2);
    for (let i = 0; i < this.count; i++) this.link(this.records[i]);
  }

  private link(r: Record): void {
    const bucket = this.bucket(r.hash);
    r.next = this.buckets[bucket];
    this.buckets[bucket] = r;
  }

  private unlink(r: Record): void {
    const bucket = this.bucket(r.hash);
    let before = this.buckets[bucket]!;
    if (before == r) {
      this.buckets[bucket] = r.next;
      return;
    }
    while (before.next != r) before = before.next!;
    before.next = r.next;
  }
}

// FNV-1a. The keys of sessions are hashes of random numbers: nobody can choose
// many that fall into one bucket.
function hashOf(key: usize, length: i32): u32 {
  let hash: u32 = 2166136261;
  for (let i = 0; i < length; i++) hash = (hash ^ load<u8>(key + i)) * 16777619;
  return hash;
}
