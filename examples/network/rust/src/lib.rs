//! A storage plugin for Waddle in Rust that keeps sessions in Redis or Valkey.
//!
//! A host calls the functions below, one at a time. Each sends a command over one connection
//! and waits for the answer. Any instance serves any key, since no record lies in an
//! instance ("remote"). `redis.rs` does the work.
#![allow(clippy::missing_safety_doc)] // it is the same for all: see waddle::bytes

mod redis;
#[allow(dead_code)] // a store need not use it all
#[path = "../../../guests/rust/src/waddle.rs"]
mod waddle;

use redis::Store;
use std::cell::RefCell;
use waddle::{bytes, done, region};

thread_local! {
    static STORE: RefCell<Store> = RefCell::new(Store::default());
}

fn with<T>(f: impl FnOnce(&mut Store) -> T) -> T {
    STORE.with(|store| f(&mut store.borrow_mut()))
}

/// The marker of the interface's version; never called.
#[no_mangle]
pub extern "C" fn session_abi_v1() {}

#[no_mangle]
pub extern "C" fn session_describe() -> i64 {
    region(Ok(redis::DESCRIPTION.as_bytes()))
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
    done(with(|store| store.delete(bytes(key, key_len))))
}

#[no_mangle]
pub extern "C" fn session_clear(_now: i64) -> i64 {
    done(with(|store| store.clear()))
}

/// What was answered is as safe as the settings of the server make it.
#[no_mangle]
pub extern "C" fn session_save(_now: i64) -> i64 {
    0
}
