//! A storage plugin for Waddle in Rust that keeps sessions in memory.
//!
//! A host calls the functions below, one at a time. It passes keys and values in
//! one buffer, which it gets from `session_alloc`. Answers tell it where in
//! memory to find bytes. `store.rs` does the work; everything unsafe is here and
//! in `waddle.rs`.
#![allow(clippy::missing_safety_doc)] // it is the same for all: see waddle::bytes

mod store;
mod waddle;

use std::cell::RefCell;
use store::Store;
use waddle::{bytes, done, region};

thread_local! {
    static STORE: RefCell<Store> = RefCell::new(Store::new());
}

fn with<T>(f: impl FnOnce(&mut Store) -> T) -> T {
    STORE.with(|store| f(&mut store.borrow_mut()))
}

/// The marker of the interface's version; never called.
#[no_mangle]
pub extern "C" fn session_abi_v1() {}

#[no_mangle]
pub extern "C" fn session_describe() -> i64 {
    region(Ok(store::DESCRIPTION.as_bytes()))
}

#[no_mangle]
pub extern "C" fn session_alloc(size: usize) -> *mut u8 {
    with(|store| store.exchange(size))
}

#[no_mangle]
pub unsafe extern "C" fn session_open(config: *const u8, length: usize) -> i64 {
    done(with(|store| store.open(bytes(config, length))))
}

#[no_mangle]
pub unsafe extern "C" fn session_get(key: *const u8, key_len: usize, now: i64) -> i64 {
    with(|store| region(store.get(bytes(key, key_len), now)))
}

#[no_mangle]
pub unsafe extern "C" fn session_set(
    key: *const u8, key_len: usize, value: *const u8, value_len: usize, expires: i64, now: i64, expect: i64,
) -> i64 {
    done(with(|store| store.set(bytes(key, key_len), bytes(value, value_len), expires, now, expect)))
}

#[no_mangle]
pub unsafe extern "C" fn session_touch(key: *const u8, key_len: usize, expires: i64, now: i64) -> i64 {
    done(with(|store| store.touch(bytes(key, key_len), expires, now)))
}

#[no_mangle]
pub unsafe extern "C" fn session_delete(key: *const u8, key_len: usize, _now: i64) -> i64 {
    with(|store| store.delete(bytes(key, key_len)));
    0
}

#[no_mangle]
pub extern "C" fn session_clear(_now: i64) -> i64 {
    with(|store| store.clear());
    0
}

/// There is nothing to write.
#[no_mangle]
pub extern "C" fn session_save(now: i64) -> i64 {
    with(|store| store.drop_expired(now));
    0
}

#[no_mangle]
pub extern "C" fn session_sweep(now: i64, max: u32) -> i64 {
    with(|store| store.sweep(now, max as usize))
}

#[no_mangle]
pub extern "C" fn session_keys(cursor: i64, now: i64) -> i64 {
    with(|store| region(store.keys(cursor, now)))
}

#[no_mangle]
pub extern "C" fn session_snapshot(cursor: i64, now: i64) -> i64 {
    with(|store| region(store.snapshot(cursor, now)))
}

#[no_mangle]
pub unsafe extern "C" fn session_restore(list: *const u8, length: usize, now: i64) -> i64 {
    done(with(|store| store.restore(bytes(list, length), now)))
}
