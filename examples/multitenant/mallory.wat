;; A plugin that is good until it is trusted: it keeps one record, and passes the probe of a
;; host that deploys it. From its 30th call on, each call is an endless loop.
(module
  (memory (export "memory") 1)
  (global $calls (mut i32) (i32.const 0))
  (global $key (mut i32) (i32.const 0))   ;; length of the key, at 1024; 0 for no record
  (global $value (mut i32) (i32.const 0)) ;; length of the value, at 2048

  (func (export "session_abi_v1"))

  (func (export "session_alloc") (param $size i32) (result i32)
    (select (i32.const 16384) (i32.const 0) (i32.le_u (local.get $size) (i32.const 49152))))

  (func (export "session_open") (param i32 i32) (result i64) (i64.const 0))

  (func $called
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (if (i32.ge_u (global.get $calls) (i32.const 30))
      (then (loop $again (br $again)))))

  ;; whether the record has this key
  (func $has (param $at i32) (param $length i32) (result i32)
    (local $i i32)
    (if (i32.ne (local.get $length) (global.get $key)) (then (return (i32.const 0))))
    (loop $next
      (if (i32.eq (local.get $i) (local.get $length)) (then (return (i32.const 1))))
      (if (i32.ne (i32.load8_u (i32.add (local.get $at) (local.get $i)))
                  (i32.load8_u offset=1024 (local.get $i)))
        (then (return (i32.const 0))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $next))
    (unreachable))

  (func (export "session_get") (param $at i32) (param $length i32) (param i64) (result i64)
    (call $called)
    (if (call $has (local.get $at) (local.get $length))
      (then (return (i64.or (i64.const 0x80000000000) (i64.extend_i32_u (global.get $value)))))) ;; 2048<<32
    (i64.const -1)) ;; NOT_FOUND

  (func (export "session_set") (param $at i32) (param $length i32) (param $from i32) (param $size i32)
                               (param i64 i64 i64) (result i64)
    (call $called)
    (if (i32.gt_u (local.get $size) (i32.const 8192)) (then (return (i64.const -3)))) ;; TOO_LARGE
    (memory.copy (i32.const 1024) (local.get $at) (local.get $length))
    (memory.copy (i32.const 2048) (local.get $from) (local.get $size))
    (global.set $key (local.get $length))
    (global.set $value (local.get $size))
    (i64.const 0))

  (func (export "session_delete") (param $at i32) (param $length i32) (param i64) (result i64)
    (call $called)
    (if (call $has (local.get $at) (local.get $length)) (then (global.set $key (i32.const 0))))
    (i64.const 0))

  (func (export "session_clear") (param i64) (result i64)
    (global.set $key (i32.const 0))
    (i64.const 0))

  (func (export "session_save") (param i64) (result i64) (i64.const 0)))
