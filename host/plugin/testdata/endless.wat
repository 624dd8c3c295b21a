;; A guest whose enumerations do not end, with another cursor and another key each time.
;; It keeps nothing but the first byte of the last key that was set, which says what its
;; chunks are like:
;;   l  a record of 60,000 bytes   t  a record of a few bytes   n  nothing but a cursor
;;   w  a record of a few bytes, after a millisecond   f  as l, and a trap at the fiftieth
;; and with any other there is nothing to enumerate. After d, its rounds of session_flush
;; leave one change less each time, of a million. It takes all that it is to restore.
;;
;; memory: 16 a subscription, 80 an event, 128 a result, 1024 exchange buffer of 32 KiB,
;; 65536 chunks
(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 3)
  (global $like (mut i32) (i32.const 0))
  (global $left (mut i64) (i64.const 0))
  (func (export "session_abi_v1"))
  (func (export "session_alloc") (param $size i32) (result i32)
    (select (i32.const 1024) (i32.const 0) (i32.le_u (local.get $size) (i32.const 61440))))
  (func (export "session_open") (param i32 i32) (result i64) (i64.const 0))
  (func (export "session_get") (param i32 i32 i64) (result i64) (i64.const -1))
  (func (export "session_set") (param $key i32) (param i32 i32 i32 i64 i64 i64) (result i64)
    (global.set $like (i32.load8_u (local.get $key)))
    (i64.const 0))
  (func (export "session_delete") (param i32 i32 i64) (result i64) (i64.const 0))
  (func (export "session_clear") (param i64) (result i64) (i64.const 0))
  (func (export "session_save") (param i64) (result i64) (i64.const 0))
  (func (export "session_restore") (param i32 i32 i64) (result i64) (i64.const 0))

  (func $wait
    (i64.store (i32.const 40) (i64.const 1000000))
    (drop (call $poll (i32.const 16) (i32.const 80) (i32.const 1) (i32.const 128))))

  (func (export "session_flush") (param i64 i32) (result i64)
    (if (i32.ne (global.get $like) (i32.const 100)) (then (return (i64.const 0))))
    (call $wait)
    (if (i64.eqz (global.get $left)) (then (global.set $left (i64.const 1000000))))
    (global.set $left (i64.sub (global.get $left) (i64.const 1)))
    (global.get $left))

  (func $region (param $len i32) (result i64)
    (i64.or (i64.shl (i64.const 65536) (i64.const 32)) (i64.extend_i32_u (local.get $len))))

  ;; the cursor of the next chunk; reports 0 if there is nothing to enumerate
  (func $begin (param $cursor i64) (result i32)
    (i64.store (i32.const 65536) (i64.const 0))
    (if (i32.eqz (i32.or (i32.or (i32.eq (global.get $like) (i32.const 108)) (i32.eq (global.get $like) (i32.const 116)))
          (i32.or (i32.or (i32.eq (global.get $like) (i32.const 110)) (i32.eq (global.get $like) (i32.const 119)))
                  (i32.eq (global.get $like) (i32.const 102)))))
      (then (return (i32.const 0))))
    (if (i32.and (i32.eq (global.get $like) (i32.const 102)) (i64.eq (local.get $cursor) (i64.const 49)))
      (then (unreachable)))
    (i64.store (i32.const 65536) (i64.add (local.get $cursor) (i64.const 1)))
    (if (i32.eq (global.get $like) (i32.const 119)) (then (call $wait)))
    (i32.ne (global.get $like) (i32.const 110)))

  (func (export "session_keys") (param $cursor i64) (param i64) (result i64)
    (if (i32.eqz (call $begin (local.get $cursor))) (then (return (call $region (i32.const 8)))))
    (i32.store (i32.const 65544) (i32.const 8))
    (i64.store (i32.const 65548) (local.get $cursor))
    (call $region (i32.const 20)))

  (func (export "session_snapshot") (param $cursor i64) (param i64) (result i64)
    (local $len i32)
    (if (i32.eqz (call $begin (local.get $cursor))) (then (return (call $region (i32.const 8)))))
    (local.set $len (select (i32.const 60000) (i32.const 8)
      (i32.or (i32.eq (global.get $like) (i32.const 108)) (i32.eq (global.get $like) (i32.const 102)))))
    (i32.store (i32.const 65544) (i32.const 8))
    (i32.store (i32.const 65548) (local.get $len))
    (i64.store (i32.const 65552) (i64.const 0))
    (i64.store (i32.const 65560) (local.get $cursor))
    (call $region (i32.add (i32.const 32) (local.get $len)))))
