;; A store that saves in steps. It counts writes, keeps none of them, and tells the host's
;; log before it saves or flushes. A key that begins with "u", "f" or "t" has it
;; answer UNSUPPORTED, answer UNAVAILABLE once, or trap once, at the next flush.
;;
;; memory: 16 what it says, 1024 exchange buffer
(module
  (import "waddle_v1" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 1)
  (global $written (mut i32) (i32.const 0))
  (global $left (mut i32) (i32.const 0))
  (global $trick (mut i32) (i32.const 0))
  (data (i32.const 16) "saveflushset")
  (func (export "session_abi_v1"))
  (func (export "session_alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "session_open") (param i32 i32) (result i64) (i64.const 0))
  (func (export "session_get") (param i32 i32 i64) (result i64) (i64.const -1))
  (func (export "session_set") (param $key i32) (param i32 i32 i32 i64 i64 i64) (result i64)
    (global.set $written (i32.add (global.get $written) (i32.const 1)))
    (global.set $trick (i32.load8_u (local.get $key)))
    (i64.const 0))
  (func (export "session_delete") (param i32 i32 i64) (result i64) (i64.const 0))
  (func (export "session_clear") (param i64) (result i64) (i64.const 0))
  (func (export "session_save") (param i64) (result i64)
    (call $log (i32.const 0) (i32.const 16) (i32.const 4))
    (global.set $written (i32.const 0))
    (global.set $left (i32.const 0))
    (i64.const 0))
  (func (export "session_flush") (param i64) (param $max i32) (result i64)
    (local $trick i32)
    (local.set $trick (global.get $trick))
    (if (i32.eq (local.get $trick) (i32.const 117)) (then (return (i64.const -9))))
    (call $log (i32.const 0) (i32.const 20) (i32.const 5))
    (global.set $trick (i32.const 0))
    (if (i32.eq (local.get $trick) (i32.const 102)) (then (return (i64.const -5))))
    (if (i32.eq (local.get $trick) (i32.const 116)) (then (unreachable)))
    (if (i32.eqz (global.get $left))
      (then
        (global.set $left (global.get $written))
        (global.set $written (i32.const 0))))
    (global.set $left
      (select (i32.sub (global.get $left) (local.get $max)) (i32.const 0)
        (i32.gt_u (global.get $left) (local.get $max))))
    (i64.extend_i32_u (global.get $left))))
