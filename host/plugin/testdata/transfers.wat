;; A guest that asks WASI for as much as one call can be asked. A get makes the call that
;; its time says, and its value is, behind a revision, the errno and the number of bytes:
;;   1 fd_read  2 fd_pread  3 fd_write  4 fd_pwrite, of the file f, and 5 fd_write of standard
;;   output; from 11 on the same with one vector of 32 MiB instead of 1024 of a MiB.
;;   6 makes the file 2 GiB long
;;
;; memory: 16 path, 32 descriptor, 36 number of bytes, 1024 exchange buffer, 4096 value,
;; 8192 vectors, 65536 data
(module
  (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_pread" (func $pread (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_pwrite" (func $pwrite (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_filestat_set_size" (func $resize (param i32 i64) (result i32)))
  (memory (export "memory") 513)
  (data (i32.const 16) "f")
  (func (export "session_abi_v1"))
  (func (export "session_alloc") (param $size i32) (result i32)
    (select (i32.const 1024) (i32.const 0) (i32.le_u (local.get $size) (i32.const 3072))))
  (func (export "session_open") (param i32 i32) (result i64)
    (i64.sub (i64.const 0) (i64.extend_i32_u (call $open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 1)
      (i64.const 0x1fffffff) (i64.const 0x1fffffff) (i32.const 0) (i32.const 32)))))
  (func (export "session_set") (param i32 i32 i32 i32 i64 i64 i64) (result i64) (i64.const 0))
  (func (export "session_delete") (param i32 i32 i64) (result i64) (i64.const 0))
  (func (export "session_clear") (param i64) (result i64) (i64.const 0))
  (func (export "session_save") (param i64) (result i64) (i64.const 0))

  (func $call (param $act i64) (param $vectors i32) (result i32)
    (local $fd i32)
    (local.set $fd (i32.load (i32.const 32)))
    (if (i64.eq (local.get $act) (i64.const 1))
      (then (return (call $read (local.get $fd) (i32.const 8192) (local.get $vectors) (i32.const 36)))))
    (if (i64.eq (local.get $act) (i64.const 2))
      (then (return (call $pread (local.get $fd) (i32.const 8192) (local.get $vectors) (i64.const 0) (i32.const 36)))))
    (if (i64.eq (local.get $act) (i64.const 3))
      (then (return (call $write (local.get $fd) (i32.const 8192) (local.get $vectors) (i32.const 36)))))
    (if (i64.eq (local.get $act) (i64.const 4))
      (then (return (call $pwrite (local.get $fd) (i32.const 8192) (local.get $vectors) (i64.const 0) (i32.const 36)))))
    (if (i64.eq (local.get $act) (i64.const 5))
      (then (return (call $write (i32.const 1) (i32.const 8192) (local.get $vectors) (i32.const 36)))))
    (call $resize (local.get $fd) (i64.const 0x80000000)))

  (func (export "session_get") (param i32 i32) (param $act i64) (result i64)
    (local $i i32) (local $vectors i32) (local $length i32)
    (local.set $vectors (i32.const 1024))
    (local.set $length (i32.const 0x100000))
    (if (i64.gt_s (local.get $act) (i64.const 10))
      (then
        (local.set $act (i64.sub (local.get $act) (i64.const 10)))
        (local.set $vectors (i32.const 1))
        (local.set $length (i32.const 0x2000000))))
    (loop $next
      (i32.store (i32.add (i32.const 8192) (i32.mul (local.get $i) (i32.const 8))) (i32.const 65536))
      (i32.store (i32.add (i32.const 8196) (i32.mul (local.get $i) (i32.const 8))) (local.get $length))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (local.get $vectors))))
    (i32.store (i32.const 36) (i32.const 0))
    (i64.store (i32.const 4096) (i64.const 1))
    (i32.store (i32.const 4104) (call $call (local.get $act) (local.get $vectors)))
    (i32.store (i32.const 4108) (i32.load (i32.const 36)))
    (i64.const 0x100000000010)))
