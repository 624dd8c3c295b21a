;; Imports a function that waddle_v1 does not have.
(module
  (import "waddle_v1" "listen" (func (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "session_abi_v1"))
  (func (export "session_alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "session_open") (param i32 i32) (result i64) (i64.const 0))
  (func (export "session_get") (param i32 i32 i64) (result i64) (i64.const -1))
  (func (export "session_set") (param i32 i32 i32 i32 i64 i64 i64) (result i64) (i64.const 0))
  (func (export "session_delete") (param i32 i32 i64) (result i64) (i64.const 0))
  (func (export "session_clear") (param i64) (result i64) (i64.const 0))
  (func (export "session_save") (param i64) (result i64) (i64.const 0)))
