;; A guest that does what the time of the operation says:
;;   0 works (it stores nothing, and every key has the value "\01…")
;;   1 trap   2 endless loop   3 endless recursion   4 integer division by zero
;;   5 pointer beyond the memory   6 pointer and length that overflow
;;   7 a region that ends one byte beyond the memory   8 a length above 16 MiB
;;   9 exit with code 7   10 grow the memory for ever   11 an unknown code
;;   12 log lines with control characters, for ever   13 random bytes for ever
;;   14 log from beyond the memory   15 fail from beyond the memory
;;   16 a message with control characters, then INVALID   17 write to stderr, then trap
;;   18 recursion that is wide and not deep   19 sleep for an hour, a hundred times
;;   20 a call through an empty table entry   21 exit with code 0
;;   22 a very large write to stdout, for ever   23 a poll with a great many subscriptions
;;   24 random bytes in one call after the other without a loop
;;   25 log with a pointer and length that overflow   26 a message from beyond the memory
;;   27 functions of WASI with pointers beyond the memory; answers INTERNAL unless all refuse
;;   1000 + n answers code -n
;; As chunks: 30 a cursor that never ends   31 a negative cursor   32 a key that is cut off
;;   33 an empty key   34 shorter than a cursor   35 two cursors in turn
(module
  (import "waddle_v1" "log" (func $log (param i32 i32 i32)))
  (import "waddle_v1" "fail" (func $fail (param i32 i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 32)
  (table 4 funcref)
  (type $none (func))
  (global $turn (mut i64) (i64.const 5))
  (data (i32.const 16) "\01\00\00\00\00\00\00\00value")
  (data (i32.const 64) "bad\1b[31m\0a\00\ff text")
  (data (i32.const 96) "about to fail\0asecond line\0a")
  (data (i32.const 128) "\60\00\00\00\1a\00\00\00")              ;; iovec: 96, 26
  (data (i32.const 136) "\00\00\00\00\00\00\10\00")              ;; iovec: 0, 1 MiB
  ;; subscription: clock, an hour
  (data (i32.const 200) "\07\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\a0\b8\30\46\03\00\00")
  (func (export "session_abi_v1"))

  (func $deep (param i64) (result i64) (i64.add (i64.const 1) (call $deep (i64.add (local.get 0) (i64.const 1)))))
  (func $wide (param i32) (result i32)
    (if (result i32) (i32.eqz (local.get 0))
      (then (i32.const 1))
      (else (i32.add (call $wide (i32.sub (local.get 0) (i32.const 1))) (call $wide (i32.sub (local.get 0) (i32.const 1)))))))
  (func $fill (drop (call $random (i32.const 65536) (i32.const 1900000))))
  (func $fill16
    call $fill call $fill call $fill call $fill call $fill call $fill call $fill call $fill
    call $fill call $fill call $fill call $fill call $fill call $fill call $fill call $fill)
  (func $fill256
    call $fill16 call $fill16 call $fill16 call $fill16 call $fill16 call $fill16 call $fill16 call $fill16
    call $fill16 call $fill16 call $fill16 call $fill16 call $fill16 call $fill16 call $fill16 call $fill16)
  (func $fill4096
    call $fill256 call $fill256 call $fill256 call $fill256 call $fill256 call $fill256 call $fill256 call $fill256
    call $fill256 call $fill256 call $fill256 call $fill256 call $fill256 call $fill256 call $fill256 call $fill256)

  (func $region (param $ptr i64) (param $len i64) (result i64)
    (i64.or (i64.shl (local.get $ptr) (i64.const 32)) (local.get $len)))

  (func $chunk (param $cursor i64) (param $len i32) (result i64)
    (i64.store (i32.const 1024) (local.get $cursor))
    (call $region (i64.const 1024) (i64.extend_i32_u (local.get $len))))

  (func $act (param $now i64) (result i64)
    (local $i i32)
    (if (i64.eqz (local.get $now)) (then (return (call $region (i64.const 16) (i64.const 13)))))
    (if (i64.eq (local.get $now) (i64.const 1)) (then unreachable))
    (if (i64.eq (local.get $now) (i64.const 2)) (then (loop $l (br $l))))
    (if (i64.eq (local.get $now) (i64.const 3)) (then (return (call $deep (i64.const 0)))))
    (if (i64.eq (local.get $now) (i64.const 4)) (then (return (i64.div_s (i64.const 1) (i64.const 0)))))
    (if (i64.eq (local.get $now) (i64.const 5)) (then (return (call $region (i64.const 0x7ffffff0) (i64.const 4)))))
    (if (i64.eq (local.get $now) (i64.const 6)) (then (return (call $region (i64.const 0x7fffffff) (i64.const 0xffffff)))))
    (if (i64.eq (local.get $now) (i64.const 7))
      (then (return (call $region (i64.extend_i32_u (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 7))) (i64.const 8)))))
    (if (i64.eq (local.get $now) (i64.const 8)) (then (return (call $region (i64.const 16) (i64.const 0xffffffff)))))
    (if (i64.eq (local.get $now) (i64.const 9)) (then (call $exit (i32.const 7))))
    (if (i64.eq (local.get $now) (i64.const 10)) (then (loop $l (drop (memory.grow (i32.const 1))) (br $l))))
    (if (i64.eq (local.get $now) (i64.const 11)) (then (return (i64.const -123456789))))
    (if (i64.eq (local.get $now) (i64.const 12)) (then (loop $l (call $log (i32.const 4) (i32.const 64) (i32.const 16)) (br $l))))
    (if (i64.eq (local.get $now) (i64.const 13)) (then (loop $l (call $fill) (br $l))))
    (if (i64.eq (local.get $now) (i64.const 14)) (then (call $log (i32.const 0) (i32.const -8) (i32.const 16)) (return (i64.const 0))))
    (if (i64.eq (local.get $now) (i64.const 15)) (then (call $fail (i32.const 16) (i32.const -1)) (return (i64.const -2))))
    (if (i64.eq (local.get $now) (i64.const 16)) (then (call $fail (i32.const 64) (i32.const 16)) (return (i64.const -2))))
    (if (i64.eq (local.get $now) (i64.const 17))
      (then (drop (call $write (i32.const 2) (i32.const 128) (i32.const 1) (i32.const 8))) unreachable))
    (if (i64.eq (local.get $now) (i64.const 18)) (then (return (i64.extend_i32_u (i32.wrap_i64 (i64.extend_i32_u (call $wide (i32.const 28))))))))
    (if (i64.eq (local.get $now) (i64.const 19))
      (then
        (loop $l
          (drop (call $poll (i32.const 200) (i32.const 300) (i32.const 1) (i32.const 8)))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $l (i32.lt_u (local.get $i) (i32.const 100))))
        (return (i64.const 0))))
    (if (i64.eq (local.get $now) (i64.const 20)) (then (call_indirect (type $none) (i32.const 2))))
    (if (i64.eq (local.get $now) (i64.const 21)) (then (call $exit (i32.const 0))))
    (if (i64.eq (local.get $now) (i64.const 22))
      (then (loop $l (drop (call $write (i32.const 1) (i32.const 136) (i32.const 1) (i32.const 8))) (br $l))))
    (if (i64.eq (local.get $now) (i64.const 23))
      (then (return (i64.extend_i32_u (call $poll (i32.const 0) (i32.const 0) (i32.const 268435457) (i32.const 8))))))
    (if (i64.eq (local.get $now) (i64.const 24)) (then (call $fill4096) (return (i64.const 0))))
    (if (i64.eq (local.get $now) (i64.const 25))
      (then (call $log (i32.const 0) (i32.const 16) (i32.const -8)) (return (i64.const 0))))
    (if (i64.eq (local.get $now) (i64.const 26))
      (then (call $fail (i32.const 0x7ffffff0) (i32.const 16)) (return (i64.const -2))))
    (if (i64.eq (local.get $now) (i64.const 27))
      (then
        (i32.store (i32.const 1024) (i32.const -16)) ;; iovec: -16, 64
        (i32.store (i32.const 1028) (i32.const 64))
        (if (i32.eqz (call $random (i32.const -8) (i32.const 64))) (then (return (i64.const -10))))
        (if (i32.eqz (call $random (i32.const 0x7ffffff0) (i32.const 16))) (then (return (i64.const -10))))
        (if (i32.eqz (call $write (i32.const 1) (i32.const 1024) (i32.const 1) (i32.const 8))) (then (return (i64.const -10))))
        (if (i32.eqz (call $write (i32.const 1) (i32.const -4) (i32.const 1) (i32.const 8))) (then (return (i64.const -10))))
        (if (i32.eqz (call $write (i32.const 1) (i32.const 1024) (i32.const -1) (i32.const 8))) (then (return (i64.const -10))))
        (if (i32.eqz (call $poll (i32.const -8) (i32.const 300) (i32.const 1) (i32.const 8))) (then (return (i64.const -10))))
        (if (i32.eqz (call $poll (i32.const 200) (i32.const -8) (i32.const 1) (i32.const 8))) (then (return (i64.const -10))))
        (if (i32.eqz (call $poll (i32.const 200) (i32.const 300) (i32.const 1) (i32.const -2))) (then (return (i64.const -10))))
        (return (i64.const 0))))
    (if (i64.eq (local.get $now) (i64.const 30))
      (then
        (global.set $turn (i64.add (global.get $turn) (i64.const 1)))
        (return (call $chunk (i64.const 5) (i32.const 8)))))
    (if (i64.eq (local.get $now) (i64.const 31)) (then (return (call $chunk (i64.const -5) (i32.const 8)))))
    (if (i64.eq (local.get $now) (i64.const 32))
      (then (i32.store (i32.const 1032) (i32.const 100)) (return (call $chunk (i64.const 0) (i32.const 14)))))
    (if (i64.eq (local.get $now) (i64.const 33))
      (then (i64.store (i32.const 1032) (i64.const 0)) (return (call $chunk (i64.const 0) (i32.const 24)))))
    (if (i64.eq (local.get $now) (i64.const 34)) (then (return (call $chunk (i64.const 0) (i32.const 7)))))
    (if (i64.eq (local.get $now) (i64.const 35))
      (then
        (global.set $turn (i64.xor (global.get $turn) (i64.const 3)))
        (return (call $chunk (global.get $turn) (i32.const 8)))))
    (i64.sub (i64.const 1000) (local.get $now)))

  (func (export "session_alloc") (param $size i32) (result i32)
    (select (i32.const 65536) (i32.const 0) (i32.le_u (local.get $size) (i32.const 65536))))
  (func (export "session_open") (param i32 i32) (result i64) (i64.const 0))
  (func (export "session_get") (param i32 i32 i64) (result i64) (call $act (local.get 2)))
  (func (export "session_set") (param i32 i32 i32 i32 i64 i64 i64) (result i64) (call $act (local.get 5)))
  (func (export "session_delete") (param i32 i32 i64) (result i64) (call $act (local.get 2)))
  (func (export "session_clear") (param i64) (result i64) (call $act (local.get 0)))
  (func (export "session_save") (param i64) (result i64) (call $act (local.get 0)))
  (func (export "session_touch") (param i32 i32 i64 i64) (result i64) (call $act (local.get 3)))
  (func (export "session_sweep") (param i64 i32) (result i64) (call $act (local.get 0)))
  (func (export "session_keys") (param i64 i64) (result i64) (call $act (local.get 1)))
  (func (export "session_snapshot") (param i64 i64) (result i64) (call $act (local.get 1)))
  (func (export "session_restore") (param i32 i32 i64) (result i64) (call $act (local.get 2))))
