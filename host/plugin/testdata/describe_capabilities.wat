;; Describes 32,000 capabilities, in 64 KiB.
(module
  (memory (export "memory") 2)
  (data (i32.const 64) "capabilities\00")
  (func (export "session_describe") (result i64) (local $i i32)
    (loop $l
      (i32.store16 (i32.add (i32.const 77) (local.get $i)) (i32.const 0x2061)) ;; "a "
      (local.set $i (i32.add (local.get $i) (i32.const 2)))
      (br_if $l (i32.lt_u (local.get $i) (i32.const 64000))))
    (i32.store8 (i32.const 64077) (i32.const 0))
    (i64.const 0x400000fa0e))
  (func (export "session_abi_v1"))
  (func (export "session_alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "session_open") (param i32 i32) (result i64) (i64.const 0))
  (func (export "session_get") (param i32 i32 i64) (result i64) (i64.const -1))
  (func (export "session_set") (param i32 i32 i32 i32 i64 i64 i64) (result i64) (i64.const 0))
  (func (export "session_delete") (param i32 i32 i64) (result i64) (i64.const 0))
  (func (export "session_clear") (param i64) (result i64) (i64.const 0))
  (func (export "session_save") (param i64) (result i64) (i64.const 0)))
