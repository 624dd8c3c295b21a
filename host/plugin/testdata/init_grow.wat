;; Grows its memory as far as it can in _initialize, and writes to every page.
(module
  (memory (export "memory") 1)
  (func (export "_initialize") (local $n i32)
    (loop $l
      (local.set $n (memory.grow (i32.const 1)))
      (if (i32.ne (local.get $n) (i32.const -1))
        (then
          (memory.fill (i32.mul (local.get $n) (i32.const 65536)) (i32.const 7) (i32.const 65536))
          (br $l)))))
  (func (export "session_abi_v1"))
  (func (export "session_alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "session_open") (param i32 i32) (result i64) (i64.const 0))
  (func (export "session_get") (param i32 i32 i64) (result i64) (i64.const -1))
  (func (export "session_set") (param i32 i32 i32 i32 i64 i64 i64) (result i64) (i64.const 0))
  (func (export "session_delete") (param i32 i32 i64) (result i64) (i64.const 0))
  (func (export "session_clear") (param i64) (result i64) (i64.const 0))
  (func (export "session_save") (param i64) (result i64) (i64.const 0)))
