;; A guest that does what the first byte of a key says: it loops without an end (l), traps (c),
;; or answers that there is nothing.
(module
  (memory (export "memory") 1)
  (func (export "session_abi_v1"))
  (func (export "session_alloc") (param i32) (result i32)
    (select (i32.const 1024) (i32.const 0) (i32.le_u (local.get 0) (i32.const 32768))))
  (func (export "session_open") (param i32 i32) (result i64) (i64.const 0))
  (func (export "session_get") (param i32 i32 i64) (result i64)
    (if (i32.eq (i32.load8_u (local.get 0)) (i32.const 108)) (then (loop $l (br $l))))
    (if (i32.eq (i32.load8_u (local.get 0)) (i32.const 99)) (then unreachable))
    (i64.const -1))
  (func (export "session_set") (param i32 i32 i32 i32 i64 i64 i64) (result i64) (i64.const 0))
  (func (export "session_delete") (param i32 i32 i64) (result i64) (i64.const 0))
  (func (export "session_clear") (param i64) (result i64) (i64.const 0))
  (func (export "session_save") (param i64) (result i64) (i64.const 0)))
