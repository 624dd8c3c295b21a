;; A guest whose state is easy to compare, for attacks on what guests share. Its state is a number
;; in memory, one in each kind of global, and the size of its memory. Setting a record sets
;; all of them to the first eight bytes of the value's content. Reading any key returns
;;   revision i64, number i64, global i64, global i32, global f64, global f32, pages i32, calls i32
;; The time of a get chooses what it does before that:
;;   1 trap   2 endless loop   3 endless recursion   4 exit with 0
;;   5 closes descriptors 0 to 9   6 renumbers 2 to 1 and 0 to 2   7 sets flags of 1 and 2
;;   8 grows by one page, and exits with 99 if that is not zero
;;   9 grows until it cannot, then goes on   10 the same, then traps
;;   11 writes to each page   12 waits a hundred times   13 writes half a line to stdout
;;   14 a line to stdout   15 a negative result that is no code, after growing
;;   16 the next session_alloc traps   17 the next session_alloc returns a region beyond the memory
;;   18 returns a region that ends one byte beyond the memory   19 writes to the last byte, grows
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_renumber" (func $renumber (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_fdstat_set_flags" (func $flags (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 4)
  (global $whole (mut i64) (i64.const 0))
  (global $half (mut i32) (i32.const 0))
  (global $double (mut f64) (f64.const 0))
  (global $single (mut f32) (f32.const 0))
  (global $calls (mut i32) (i32.const 0))
  (global $alloc (mut i32) (i32.const 0))
  (data (i32.const 64) "line of the guest\0a")
  (data (i32.const 128) "\40\00\00\00\04\00\00\00")   ;; iovec: 64, 4
  (data (i32.const 136) "\40\00\00\00\12\00\00\00")   ;; iovec: 64, 18
  ;; subscription: clock, an hour
  (data (i32.const 200) "\07\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\a0\b8\30\46\03\00\00")
  (func (export "session_abi_v1"))

  (func $deep (param i64) (result i64) (i64.add (i64.const 1) (call $deep (i64.add (local.get 0) (i64.const 1)))))

  (func $fill (loop $l (br_if $l (i32.ge_s (memory.grow (i32.const 1)) (i32.const 0)))))

  ;; grows by a page, which must be zero
  (func $more
    (local $at i32)
    (local.set $at (i32.mul (memory.grow (i32.const 1)) (i32.const 65536)))
    (if (i32.eq (local.get $at) (i32.const -65536)) (then return))
    (if (i64.ne (i64.or (i64.load (local.get $at)) (i64.load offset=65528 (local.get $at))) (i64.const 0))
      (then (call $exit (i32.const 99)))))

  (func $act (param $now i64)
    (local $i i32)
    (if (i64.eq (local.get $now) (i64.const 1)) (then unreachable))
    (if (i64.eq (local.get $now) (i64.const 2)) (then (loop $l (br $l))))
    (if (i64.eq (local.get $now) (i64.const 3)) (then (drop (call $deep (i64.const 0)))))
    (if (i64.eq (local.get $now) (i64.const 4)) (then (call $exit (i32.const 0))))
    (if (i64.eq (local.get $now) (i64.const 5))
      (then
        (loop $l
          (drop (call $close (local.get $i)))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $l (i32.lt_u (local.get $i) (i32.const 10))))))
    (if (i64.eq (local.get $now) (i64.const 6))
      (then
        (drop (call $renumber (i32.const 2) (i32.const 1)))
        (drop (call $renumber (i32.const 0) (i32.const 2)))))
    (if (i64.eq (local.get $now) (i64.const 7))
      (then
        (drop (call $flags (i32.const 1) (i32.const 5)))
        (drop (call $flags (i32.const 2) (i32.const 5)))))
    (if (i64.eq (local.get $now) (i64.const 8)) (then (call $more)))
    (if (i64.eq (local.get $now) (i64.const 9)) (then (call $fill)))
    (if (i64.eq (local.get $now) (i64.const 10)) (then (call $fill) unreachable))
    (if (i64.eq (local.get $now) (i64.const 11))
      (then
        (local.set $i (i32.const 4096))
        (loop $l
          (i64.store (local.get $i) (i64.add (i64.load (local.get $i)) (i64.const 1)))
          (local.set $i (i32.add (local.get $i) (i32.const 4096)))
          (br_if $l (i32.lt_u (local.get $i) (i32.mul (memory.size) (i32.const 65536)))))))
    (if (i64.eq (local.get $now) (i64.const 12))
      (then
        (loop $l
          (drop (call $poll (i32.const 200) (i32.const 300) (i32.const 1) (i32.const 8)))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $l (i32.lt_u (local.get $i) (i32.const 100))))))
    (if (i64.eq (local.get $now) (i64.const 13)) (then (drop (call $write (i32.const 1) (i32.const 128) (i32.const 1) (i32.const 8)))))
    (if (i64.eq (local.get $now) (i64.const 14)) (then (drop (call $write (i32.const 1) (i32.const 136) (i32.const 1) (i32.const 8)))))
    (if (i64.eq (local.get $now) (i64.const 15)) (then (drop (memory.grow (i32.const 1)))))
    (if (i64.eq (local.get $now) (i64.const 16)) (then (global.set $alloc (i32.const 1))))
    (if (i64.eq (local.get $now) (i64.const 17)) (then (global.set $alloc (i32.const 2))))
    (if (i64.eq (local.get $now) (i64.const 19))
      (then
        (i32.store8 (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 1)) (i32.const 7))
        (drop (memory.grow (i32.const 1))))))

  (func (export "session_get") (param i32 i32) (param $now i64) (result i64)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (call $act (local.get $now))
    (if (i64.eq (local.get $now) (i64.const 15)) (then (return (i64.const -12345))))
    (if (i64.eq (local.get $now) (i64.const 18))
      (then (return (i64.or
        (i64.shl (i64.extend_i32_u (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 7))) (i64.const 32))
        (i64.const 8)))))
    (i64.store (i32.const 1024) (i64.const 1))
    (i64.store (i32.const 1032) (i64.load (i32.const 2048)))
    (i64.store (i32.const 1040) (global.get $whole))
    (i32.store (i32.const 1048) (global.get $half))
    (f64.store (i32.const 1052) (global.get $double))
    (f32.store (i32.const 1060) (global.get $single))
    (i32.store (i32.const 1064) (memory.size))
    (i32.store (i32.const 1068) (global.get $calls))
    (i64.or (i64.shl (i64.const 1024) (i64.const 32)) (i64.const 48)))

  (func (export "session_set") (param i32 i32) (param $val i32) (param i32 i64 i64 i64) (result i64)
    (local $n i64)
    (local.set $n (i64.load offset=8 (local.get $val)))
    (i64.store (i32.const 2048) (local.get $n))
    (global.set $whole (local.get $n))
    (global.set $half (i32.wrap_i64 (local.get $n)))
    (global.set $double (f64.convert_i64_s (local.get $n)))
    (global.set $single (f32.convert_i64_s (local.get $n)))
    (i64.const 0))

  (func (export "session_alloc") (param $size i32) (result i32)
    (if (i32.eq (global.get $alloc) (i32.const 1)) (then unreachable))
    (if (i32.eq (global.get $alloc) (i32.const 2)) (then (return (i32.const -4096))))
    (select (i32.const 131072) (i32.const 0) (i32.le_u (local.get $size) (i32.const 65536))))
  ;; Without settings of its own the guest has two pages more, and fills them.
  (func (export "session_open") (param i32) (param $len i32) (result i64)
    (if (i32.lt_u (local.get $len) (i32.const 80))
      (then (memory.fill (i32.mul (memory.grow (i32.const 2)) (i32.const 65536)) (i32.const 119) (i32.const 131072))))
    (i64.const 0))
  (func (export "session_delete") (param i32 i32 i64) (result i64) (i64.const 0))
  (func (export "session_clear") (param i64) (result i64) (i64.const 0))
  (func (export "session_save") (param i64) (result i64) (i64.const 0)))
