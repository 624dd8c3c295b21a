;; wat2wasm: --debug-names
;; Traps in $inner, which $outer calls, and has a section with these names. What it
;; says when it starts is the end of its output.
(module $sample
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "\20\00\00\00\0f\00\00\00")
  (data (i32.const 32) "it is named so\0a")
  (func $inner (param $now i64) (result i64) unreachable)
  (func $outer (param $now i64) (result i64) (call $inner (local.get $now)))
  (func $begin (export "_initialize") (drop (call $write (i32.const 2) (i32.const 16) (i32.const 1) (i32.const 8))))
  (func (export "session_abi_v1"))
  (func (export "session_alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "session_open") (param i32 i32) (result i64) (i64.const 0))
  (func $get (export "session_get") (param i32 i32 i64) (result i64) (call $outer (local.get 2)))
  (func (export "session_set") (param i32 i32 i32 i32 i64 i64 i64) (result i64) (i64.const 0))
  (func (export "session_delete") (param i32 i32 i64) (result i64) (i64.const 0))
  (func (export "session_clear") (param i64) (result i64) (i64.const 0))
  (func (export "session_save") (param i64) (result i64) (i64.const 0)))
