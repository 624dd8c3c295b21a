;; A guest that tries to pass one limit, which the time of the operation chooses:
;;   0 works (it stores nothing, and every key has the value "\01…")
;;   1 grows its memory until it cannot, then traps
;;   2 returns 8,192 bytes   3 returns a byte more than 16 MiB
;;   4 writes 1,000 short lines to stdout   5 writes 100 lines of 4,096 bytes to stdout
;;   6 makes files until it cannot   7 writes to a file until it cannot
;;   8 opens files until it cannot and keeps them
;; Where the host refuses it a file or bytes it answers NO_SPACE.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (memory (export "memory") 8)
  (data (i32.const 16) "\01\00\00\00\00\00\00\00value")
  (data (i32.const 64) "x\0a")
  (data (i32.const 128) "\40\00\00\00\02\00\00\00")   ;; iovec: 64, 2
  (data (i32.const 136) "\00\00\01\00\00\10\00\00")   ;; iovec: 65536, 4096
  (data (i32.const 144) "\00\00\01\00\00\00\01\00")   ;; iovec: 65536, 65536
  (data (i32.const 192) "file0000")                   ;; a path
  (func (export "session_abi_v1"))

  (func $region (param $ptr i64) (param $len i64) (result i64)
    (i64.or (i64.shl (local.get $ptr) (i64.const 32)) (local.get $len)))

  ;; the next path: the last four characters count
  (func $next (local $at i32)
    (local.set $at (i32.const 199))
    (loop $carry
      (i32.store8 (local.get $at) (i32.add (i32.load8_u (local.get $at)) (i32.const 1)))
      (if (i32.gt_u (i32.load8_u (local.get $at)) (i32.const 57))
        (then
          (i32.store8 (local.get $at) (i32.const 48))
          (local.set $at (i32.sub (local.get $at) (i32.const 1)))
          (br $carry)))))

  ;; opens the path, makes it if it is not there, and returns the errno; the descriptor is at 256
  (func $make (result i32)
    (call $open (i32.const 3) (i32.const 0) (i32.const 192) (i32.const 8) (i32.const 1)
      (i64.const 66) (i64.const 66) (i32.const 0) (i32.const 256)))

  (func $print (param $vector i32) (param $times i32) (result i64)
    (loop $again
      (drop (call $write (i32.const 1) (local.get $vector) (i32.const 1) (i32.const 260)))
      (local.set $times (i32.sub (local.get $times) (i32.const 1)))
      (br_if $again (local.get $times)))
    (i64.const 0))

  (func $act (param $now i64) (result i64)
    (if (i64.eq (local.get $now) (i64.const 1))
      (then (loop $l (br_if $l (i32.ge_s (memory.grow (i32.const 1)) (i32.const 0)))) unreachable))
    (if (i64.eq (local.get $now) (i64.const 2)) (then (return (call $region (i64.const 65536) (i64.const 8192)))))
    (if (i64.eq (local.get $now) (i64.const 3)) (then (return (call $region (i64.const 0) (i64.const 16777217)))))
    (if (i64.eq (local.get $now) (i64.const 4)) (then (return (call $print (i32.const 128) (i32.const 1000)))))
    (if (i64.eq (local.get $now) (i64.const 5))
      (then
        (memory.fill (i32.const 65536) (i32.const 120) (i32.const 4095))
        (i32.store8 (i32.const 69631) (i32.const 10))
        (return (call $print (i32.const 136) (i32.const 100)))))
    (if (i64.eq (local.get $now) (i64.const 6))
      (then
        (loop $l
          (call $next)
          (if (i32.eqz (call $make)) (then (drop (call $close (i32.load (i32.const 256)))) (br $l))))
        (return (i64.const -4))))
    (if (i64.eq (local.get $now) (i64.const 7))
      (then
        (if (call $make) (then (return (i64.const -10))))
        (loop $l
          (br_if $l (i32.eqz (call $write (i32.load (i32.const 256)) (i32.const 144) (i32.const 1) (i32.const 260)))))
        (drop (call $close (i32.load (i32.const 256))))
        (return (i64.const -4))))
    (if (i64.eq (local.get $now) (i64.const 8))
      (then (loop $l (br_if $l (i32.eqz (call $make)))) (return (i64.const -4))))
    (call $region (i64.const 16) (i64.const 13)))

  (func (export "session_alloc") (param $size i32) (result i32)
    (select (i32.const 131072) (i32.const 0) (i32.le_u (local.get $size) (i32.const 65536))))
  (func (export "session_open") (param i32 i32) (result i64) (i64.const 0))
  (func (export "session_get") (param i32 i32 i64) (result i64) (call $act (local.get 2)))
  (func (export "session_set") (param i32 i32 i32 i32 i64 i64 i64) (result i64) (i64.const 0))
  (func (export "session_delete") (param i32 i32 i64) (result i64) (i64.const 0))
  (func (export "session_clear") (param i64) (result i64) (i64.const 0))
  (func (export "session_save") (param i64) (result i64) (i64.const 0)))
