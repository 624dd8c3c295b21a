//! The store: records in one list, without gaps and in no particular order, and a map
//! that finds them by key. No function reads a clock: each call carries the time.
//!
//! The host limits memory. Large amounts are requested with `try_reserve`, since a
//! failure elsewhere would end the instance and lose everything it holds. The answer
//! then is `NoSpace`, unless expired records can be dropped.

use crate::waddle::{expired, fail, revision, Error, EXPECT_ABSENT, EXPECT_ANY};
use std::collections::HashMap;

macro_rules! max_key { () => { 1024 } }
macro_rules! max_value { () => { 1048576 } }

/// What the host is told about this store, as alternating names and values.
pub const DESCRIPTION: &str = concat!(
    "name\0example-store\0version\01.0.0\0capabilities\0cas\0",
    "max_key\0", max_key!(), "\0max_value\0", max_value!(), "\0",
);

const MAX_KEY: usize = max_key!();
const MAX_VALUE: usize = max_value!();

const CHUNK: usize = 64 << 10; // the size at which a chunk of keys or records ends
const CURSOR: usize = 8; // bytes before a chunk
const HEADER: usize = 16; // bytes before each record of a list

struct Record {
    key: Vec<u8>,
    value: Vec<u8>,
    expires: i64,
}

/// A record that is about to be stored, with a second copy of the key for the map if
/// it is new.
struct Copy {
    record: Record,
    new_key: Option<Vec<u8>>,
}

pub struct Store {
    records: Vec<Record>,
    places: HashMap<Vec<u8>, usize>, // each key's index in records
    max_records: usize,

    /// No record expires before soonest: until then there is no point in looking for
    /// expired ones.
    soonest: i64,

    /// `sweep` has yet to look at this many records.
    unswept: usize,

    /// The exchange buffer, which the host writes to and in which lists are built. It
    /// never becomes smaller: the largest record came in through it, and fits with
    /// what precedes it in a list.
    exchange: Vec<u8>,
}

impl Store {
    pub fn new() -> Store {
        Store {
            records: Vec::new(),
            places: HashMap::new(),
            max_records: usize::MAX,
            soonest: i64::MAX,
            unswept: 0,
            exchange: Vec::new(),
        }
    }

    /// The settings come as alternating names and values, each ended by a NUL.
    pub fn open(&mut self, config: &[u8]) -> Result<(), Error> {
        let malformed = "the config is not a list of names and values that end with NUL";
        let (mut most, mut shards) = (None, Some(1));
        let mut rest = std::str::from_utf8(config).map_err(|_| fail(Error::Invalid, malformed))?;
        while !rest.is_empty() {
            let mut parts = rest.splitn(3, '\0');
            match (parts.next(), parts.next(), parts.next()) {
                (Some(name), Some(value), Some(after)) => {
                    rest = after;
                    match name {
                        "max_records" => most = Some(value),
                        "shards" => shards = number(value),
                        "shard" | "memory_limit" => {}
                        _ if name.starts_with("host_") => {}
                        _ => return Err(refuse(&[name, " is unknown: this engine has max_records"])),
                    }
                }
                _ => return Err(fail(Error::Invalid, malformed)),
            }
        }
        if let Some(most) = most {
            // It is for all shards together, and this instance is one of them.
            self.max_records = match (number(most), shards) {
                (Some(most), Some(shards)) if most >= shards => most / shards,
                _ => {
                    let why = "\": must be a whole number up to 999999999, and at least 1 for each shard";
                    return Err(refuse(&["max_records is \"", most, why]));
                }
            }
        }
        Ok(())
    }

    /// A buffer of at least `size` bytes, or null.
    pub fn exchange(&mut self, size: usize) -> *mut u8 {
        // Two sizes are enough: one for chunks and most values, one for the largest
        // record.
        let wanted = if size <= CHUNK { CHUNK } else { MAX_KEY + MAX_VALUE } + CURSOR + HEADER;
        if size > wanted {
            return std::ptr::null_mut();
        }
        if wanted > self.exchange.capacity() {
            match buffer(wanted) {
                Some(buffer) => self.exchange = buffer,
                None => return std::ptr::null_mut(),
            }
        }
        self.exchange.as_mut_ptr()
    }

    pub fn get(&self, key: &[u8], now: i64) -> Result<&[u8], Error> {
        self.find(key, now).map(|r| r.value.as_slice()).ok_or(Error::NotFound)
    }

    pub fn set(&mut self, key: &[u8], value: &[u8], expires: i64, now: i64, expect: i64) -> Result<(), Error> {
        check_size(key, value)?;
        let old = self.find(key, now);
        let allowed = match expect {
            EXPECT_ANY => true,
            EXPECT_ABSENT => old.is_none(),
            _ => old.map(|r| revision(&r.value)) == Some(expect),
        };
        if !allowed {
            return Err(Error::Conflict);
        }
        if expired(expires, now) {
            self.delete(key); // it would already have expired
            return Ok(());
        }
        loop {
            if let Some(copy) = self.copy(key, value, expires) {
                if self.has_room(copy.new_key.is_some() as usize) {
                    self.put(copy);
                    return Ok(());
                }
            }
            if self.drop_expired(now) == 0 {
                return Err(full());
            }
        }
    }

    pub fn touch(&mut self, key: &[u8], expires: i64, now: i64) -> Result<(), Error> {
        self.find(key, now).ok_or(Error::NotFound)?;
        if expired(expires, now) {
            self.delete(key);
        } else if let Some(&place) = self.places.get(key) {
            self.records[place].expires = expires;
            self.expect(expires);
        }
        Ok(())
    }

    pub fn delete(&mut self, key: &[u8]) {
        if let Some(&place) = self.places.get(key) {
            self.drop(place);
        }
    }

    pub fn clear(&mut self) {
        self.records.clear();
        self.places.clear();
        self.soonest = i64::MAX;
    }

    /// Removes expired records, looking at no more than `max` records.
    ///
    /// This function and those below go through the list from its end. When a record
    /// is removed, the last one moves to its place. That one may then be seen twice,
    /// but none is missed.
    pub fn sweep(&mut self, now: i64, max: usize) -> i64 {
        let mut removed = 0;
        for _ in 0..max.min(self.records.len()) {
            if self.unswept == 0 || self.unswept > self.records.len() {
                self.unswept = self.records.len();
            }
            self.unswept -= 1;
            if expired(self.records[self.unswept].expires, now) {
                self.drop(self.unswept);
                removed += 1;
            }
        }
        removed
    }

    pub fn keys(&mut self, cursor: i64, now: i64) -> Result<&[u8], Error> {
        self.list(cursor, now, |r| 4 + r.key.len(), |chunk, r| {
            chunk.extend_from_slice(&(r.key.len() as u32).to_le_bytes());
            chunk.extend_from_slice(&r.key);
        })
    }

    pub fn snapshot(&mut self, cursor: i64, now: i64) -> Result<&[u8], Error> {
        self.list(cursor, now, |r| HEADER + r.key.len() + r.value.len(), |chunk, r| {
            chunk.extend_from_slice(&(r.key.len() as u32).to_le_bytes());
            chunk.extend_from_slice(&(r.value.len() as u32).to_le_bytes());
            chunk.extend_from_slice(&r.expires.to_le_bytes());
            chunk.extend_from_slice(&r.key);
            chunk.extend_from_slice(&r.value);
        })
    }

    /// The whole list is stored or, on an error, nothing: it is checked first, then
    /// copied, and only then put.
    pub fn restore(&mut self, list: &[u8], now: i64) -> Result<(), Error> {
        let mut rest = list;
        while !rest.is_empty() {
            let (key, value, _, after) =
                next_record(rest).ok_or_else(|| fail(Error::Invalid, "the list ends within a record"))?;
            check_size(key, value)?;
            rest = after;
        }
        loop {
            if let Some(copies) = self.copy_list(list, now) {
                for copy in copies {
                    self.put(copy);
                }
                return Ok(());
            }
            if self.drop_expired(now) == 0 {
                return Err(full());
            }
        }
    }

    /// Removes all expired records and returns how many there were.
    pub fn drop_expired(&mut self, now: i64) -> usize {
        if now < self.soonest {
            return 0;
        }
        let before = self.records.len();
        self.soonest = i64::MAX;
        for place in (0..before).rev() {
            let expires = self.records[place].expires;
            if expired(expires, now) {
                self.drop(place);
            } else {
                self.expect(expires);
            }
        }
        before - self.records.len()
    }

    /// The record under a key, unless it has expired.
    fn find(&self, key: &[u8], now: i64) -> Option<&Record> {
        let record = &self.records[*self.places.get(key)?];
        if expired(record.expires, now) { None } else { Some(record) }
    }

    /// Makes room in list and map for this many new keys.
    fn has_room(&mut self, new_keys: usize) -> bool {
        new_keys <= self.max_records - self.records.len()
            && self.records.try_reserve(new_keys).is_ok()
            && self.places.try_reserve(new_keys).is_ok()
    }

    fn copy(&self, key: &[u8], value: &[u8], expires: i64) -> Option<Copy> {
        let record = Record { key: copy_of(key)?, value: copy_of(value)?, expires };
        let new_key = if self.places.contains_key(key) { None } else { Some(copy_of(key)?) };
        Some(Copy { record, new_key })
    }

    fn copy_list(&mut self, list: &[u8], now: i64) -> Option<Vec<Copy>> {
        let (mut copies, mut new_keys, mut rest) = (Vec::new(), 0, list);
        while let Some((key, value, expires, after)) = next_record(rest) {
            rest = after;
            if expired(expires, now) {
                continue;
            }
            copies.try_reserve(1).ok()?;
            let copy = self.copy(key, value, expires)?;
            new_keys += copy.new_key.is_some() as usize;
            copies.push(copy);
        }
        if self.has_room(new_keys) { Some(copies) } else { None }
    }

    /// Stores a record, replacing the one with the same key. The caller has called
    /// `has_room`: nothing here asks for memory.
    fn put(&mut self, copy: Copy) {
        self.expect(copy.record.expires);
        match (self.places.get(&copy.record.key), copy.new_key) {
            (Some(&place), _) => self.records[place] = copy.record,
            (None, Some(key)) => {
                self.places.insert(key, self.records.len());
                self.records.push(copy.record);
            }
            (None, None) => unreachable!("a key that was stored is not dropped in between"),
        }
    }

    /// Removes a record. The last of the list moves to its place.
    fn drop(&mut self, place: usize) {
        let record = self.records.swap_remove(place);
        self.places.remove(&record.key);
        if let Some(moved) = self.records.get(place) {
            if let Some(its_place) = self.places.get_mut(&moved.key) {
                *its_place = place;
            }
        }
    }

    /// Updates `soonest` after a record was given an expiry.
    fn expect(&mut self, expires: i64) {
        if expires != 0 {
            self.soonest = self.soonest.min(expires);
        }
    }

    /// Builds a chunk in the exchange buffer. A cursor is the number of records still
    /// to be seen; the first one is 0.
    fn list(
        &mut self, cursor: i64, now: i64, size: impl Fn(&Record) -> usize, add: impl Fn(&mut Vec<u8>, &Record),
    ) -> Result<&[u8], Error> {
        if cursor < 0 {
            return Err(fail(Error::Invalid, "the cursor is negative"));
        }
        let mut unseen = self.records.len();
        if cursor != 0 && (cursor as u64) < unseen as u64 {
            unseen = cursor as usize;
        }
        let chunk = &mut self.exchange;
        chunk.clear();
        chunk.extend_from_slice(&[0; CURSOR]);
        while unseen > 0 {
            let record = &self.records[unseen - 1];
            if !expired(record.expires, now) {
                // An empty chunk takes any record.
                if chunk.len() > CURSOR && chunk.len() + size(record) > CHUNK {
                    break;
                }
                add(chunk, record);
            }
            unseen -= 1;
        }
        chunk[..CURSOR].copy_from_slice(&(unseen as u64).to_le_bytes());
        Ok(chunk)
    }
}

fn check_size(key: &[u8], value: &[u8]) -> Result<(), Error> {
    if key.is_empty() {
        return Err(fail(Error::Invalid, "the key is empty"));
    }
    if key.len() > MAX_KEY {
        return Err(fail(Error::TooLarge, concat!("the key is longer than ", max_key!(), " bytes")));
    }
    if value.len() > MAX_VALUE {
        return Err(fail(Error::TooLarge, concat!("the value is longer than ", max_value!(), " bytes")));
    }
    Ok(())
}

fn full() -> Error {
    fail(Error::NoSpace, "the store is full: raise max_records or the memory limit")
}

/// Says what is wrong with a setting. Of each part it shows the first 100 characters.
fn refuse(parts: &[&str]) -> Error {
    let mut message = String::from("the setting ");
    for part in parts {
        message.extend(part.chars().take(100));
    }
    fail(Error::Invalid, &message)
}

/// A whole number from 1 on, of up to nine digits.
fn number(text: &str) -> Option<usize> {
    if text.len() > 9 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|&n| n > 0)
}

/// An empty buffer with room for `size` bytes, if there is memory.
fn buffer(size: usize) -> Option<Vec<u8>> {
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(size).ok()?;
    Some(buffer)
}

fn copy_of(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut copy = buffer(bytes.len())?;
    copy.extend_from_slice(bytes);
    Some(copy)
}

/// Cuts the first record off a list: its key, value and expiry, and the rest.
fn next_record(list: &[u8]) -> Option<(&[u8], &[u8], i64, &[u8])> {
    let number = |at: usize| list.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    let (key_len, value_len) = (number(0)? as usize, number(4)? as usize);
    let expires = i64::from_le_bytes(list.get(8..HEADER)?.try_into().ok()?);
    let key_end = HEADER.checked_add(key_len)?;
    let end = key_end.checked_add(value_len)?;
    Some((list.get(HEADER..key_end)?, list.get(key_end..end)?, expires, list.get(end..)?))
}
