;; A guest that fills its directory with what takes no bytes. A get does what its time says
;; until it is refused, but a number of times at most, which its key is (i32), and its value
;; is, behind a revision, the errno and how often it was done:
;;   1 makes or opens empty files   2 makes directories
;;   3 moves a directory into another one, so that there is one more above all that there was
;;
;; memory: 16 names, 64 a name that counts, 96 descriptor, 1024 exchange buffer, 4096 value
(module
  (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_create_directory" (func $mkdir (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_rename" (func $rename (param i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "top/top")
  (data (i32.const 32) "new/top")
  (func (export "session_abi_v1"))
  (func (export "session_alloc") (param $size i32) (result i32)
    (select (i32.const 1024) (i32.const 0) (i32.le_u (local.get $size) (i32.const 3072))))
  (func (export "session_open") (param i32 i32) (result i64) (i64.const 0))
  (func (export "session_set") (param i32 i32 i32 i32 i64 i64 i64) (result i64) (i64.const 0))
  (func (export "session_delete") (param i32 i32 i64) (result i64) (i64.const 0))
  (func (export "session_clear") (param i64) (result i64) (i64.const 0))
  (func (export "session_save") (param i64) (result i64) (i64.const 0))

  ;; the name of a number, in letters
  (func $name (param $n i32)
    (local $i i32)
    (loop $next
      (i32.store8 (i32.add (i32.const 64) (local.get $i))
        (i32.add (i32.const 97) (i32.and (local.get $n) (i32.const 15))))
      (local.set $n (i32.shr_u (local.get $n) (i32.const 4)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (i32.const 8)))))

  (func $do (param $act i64) (param $n i32) (result i32)
    (local $errno i32)
    (if (i64.eq (local.get $act) (i64.const 1))
      (then
        (call $name (local.get $n))
        (local.set $errno (call $open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 8) (i32.const 1)
          (i64.const 64) (i64.const 64) (i32.const 0) (i32.const 96)))
        (if (i32.eqz (local.get $errno)) (then (drop (call $close (i32.load (i32.const 96))))))
        (return (local.get $errno))))
    (if (i64.eq (local.get $act) (i64.const 2))
      (then
        (call $name (local.get $n))
        (return (call $mkdir (i32.const 3) (i32.const 64) (i32.const 8)))))
    (drop (call $mkdir (i32.const 3) (i32.const 16) (i32.const 3)))
    (drop (call $mkdir (i32.const 3) (i32.const 32) (i32.const 3)))
    (local.set $errno (call $rename (i32.const 3) (i32.const 16) (i32.const 3) (i32.const 3) (i32.const 32) (i32.const 7)))
    (if (local.get $errno) (then (return (local.get $errno))))
    (call $rename (i32.const 3) (i32.const 32) (i32.const 3) (i32.const 3) (i32.const 16) (i32.const 3)))

  (func (export "session_get") (param $key i32) (param i32) (param $act i64) (result i64)
    (local $i i32) (local $errno i32) (local $most i32)
    (local.set $most (i32.load (local.get $key)))
    (block $end
      (loop $next
        (br_if $end (i32.ge_u (local.get $i) (local.get $most)))
        (local.set $errno (call $do (local.get $act) (local.get $i)))
        (br_if $end (local.get $errno))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next)))
    (i64.store (i32.const 4096) (i64.const 1))
    (i32.store (i32.const 4104) (local.get $errno))
    (i32.store (i32.const 4108) (local.get $i))
    (i64.const 0x100000000010)))
