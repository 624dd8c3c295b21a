;; Writes lines with control characters to the log, for ever, in _initialize.
(module
  (import "waddle_v1" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "\1b]0;owned\07\1b[2J\0a\00\ff\e2\80\ae")
  (func (export "_initialize") (loop $l (call $log (i32.const 8) (i32.const 16) (i32.const 23)) (br $l)))
  (func (export "session_abi_v1"))
  (func (export "session_alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "session_open") (param i32 i32) (result i64) (i64.const 0))
  (func (export "session_get") (param i32 i32 i64) (result i64) (i64.const -1))
  (func (export "session_set") (param i32 i32 i32 i32 i64 i64 i64) (result i64) (i64.const 0))
  (func (export "session_delete") (param i32 i32 i64) (result i64) (i64.const 0))
  (func (export "session_clear") (param i64) (result i64) (i64.const 0))
  (func (export "session_save") (param i64) (result i64) (i64.const 0)))
