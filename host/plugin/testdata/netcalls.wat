;; A guest that makes any call of a network that it is told. A set writes its value to the
;; address that is its key. A get makes the call that its key says: the number of a function and six
;; parameters, 64 bits each, of which the call takes as many as it has. Its value is the
;; result in 64 bits. Beyond the functions:
;;   100 returns the region (first parameter, second) itself
;;   101 makes the call that the second block of seven says over and over, and never returns
;;   102 makes that call as often as the first parameter says, and returns the sum of the results
;; A sweep, and being idle, make the call that lies at 512.
;;
;; memory: 512 a call, 1024 exchange buffer, 65536 data
(module
  (import "waddle_v1" "dial" (func $dial (param i32 i32) (result i32)))
  (import "waddle_v1" "conn_wait" (func $conn_wait (param i32 i32 i64) (result i32)))
  (import "waddle_v1" "conn_read" (func $conn_read (param i32 i32 i32 i64) (result i32)))
  (import "waddle_v1" "conn_write" (func $conn_write (param i32 i32 i32 i64) (result i32)))
  (import "waddle_v1" "conn_start_tls" (func $conn_start_tls (param i32 i32 i32) (result i32)))
  (import "waddle_v1" "conn_error" (func $conn_error (param i32 i32 i32) (result i32)))
  (import "waddle_v1" "conn_close" (func $conn_close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_fdstat_get" (func $fd_fdstat_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_fdstat_set_flags" (func $fd_fdstat_set_flags (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_filestat_get" (func $fd_filestat_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_recv" (func $sock_recv (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_send" (func $sock_send (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_shutdown" (func $sock_shutdown (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_seek" (func $fd_seek (param i32 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_renumber" (func $fd_renumber (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_accept" (func $sock_accept (param i32 i32 i32) (result i32)))
  (memory (export "memory") 64)
  (data (i32.const 512) "\06") ;; conn_close of none
  (func (export "session_abi_v1"))
  (func (export "session_alloc") (param $size i32) (result i32)
    (select (i32.const 1024) (i32.const 0) (i32.le_u (local.get $size) (i32.const 64000))))
  (func (export "session_open") (param i32 i32) (result i64) (i64.const 0))
  (func (export "session_set") (param $key i32) (param i32) (param $from i32) (param $size i32) (param i64 i64 i64) (result i64)
    (memory.copy (i32.load (local.get $key)) (local.get $from) (local.get $size))
    (i64.const 0))
  (func (export "session_delete") (param i32 i32 i64) (result i64) (i64.const 0))
  (func (export "session_clear") (param i64) (result i64) (i64.const 0))
  (func (export "session_save") (param i64) (result i64) (i64.const 0))
  (func (export "session_sweep") (param i64 i32) (result i64)
    (i64.extend_i32_u (i32.and (call $make (i32.const 512)) (i32.const 0xffff))))
  (func (export "session_idle") (param i64) (result i64)
    (drop (call $make (i32.const 512)))
    (i64.const 0))

  ;; a and b are parameters of a call, in 32 and 64 bits.
  (func $a (param $call i32) (param $n i32) (result i32)
    (i32.load offset=8 (i32.add (local.get $call) (i32.shl (local.get $n) (i32.const 3)))))
  (func $b (param $call i32) (param $n i32) (result i64)
    (i64.load offset=8 (i32.add (local.get $call) (i32.shl (local.get $n) (i32.const 3)))))

  (func $make (param $c i32) (result i32)
    (block $19 (block $18 (block $17 (block $16 (block $15 (block $14 (block $13 (block $12 (block $11 (block $10
    (block $9 (block $8 (block $7 (block $6 (block $5 (block $4 (block $3 (block $2 (block $1 (block $0
      (br_table $0 $1 $2 $3 $4 $5 $6 $7 $8 $9 $10 $11 $12 $13 $14 $15 $16 $17 $18 $19 (i32.load (local.get $c))))
    (return (call $dial (call $a (local.get $c) (i32.const 0)) (call $a (local.get $c) (i32.const 1)))))
    (return (call $conn_wait (call $a (local.get $c) (i32.const 0)) (call $a (local.get $c) (i32.const 1)) (call $b (local.get $c) (i32.const 2)))))
    (return (call $conn_read (call $a (local.get $c) (i32.const 0)) (call $a (local.get $c) (i32.const 1)) (call $a (local.get $c) (i32.const 2)) (call $b (local.get $c) (i32.const 3)))))
    (return (call $conn_write (call $a (local.get $c) (i32.const 0)) (call $a (local.get $c) (i32.const 1)) (call $a (local.get $c) (i32.const 2)) (call $b (local.get $c) (i32.const 3)))))
    (return (call $conn_start_tls (call $a (local.get $c) (i32.const 0)) (call $a (local.get $c) (i32.const 1)) (call $a (local.get $c) (i32.const 2)))))
    (return (call $conn_error (call $a (local.get $c) (i32.const 0)) (call $a (local.get $c) (i32.const 1)) (call $a (local.get $c) (i32.const 2)))))
    (return (call $conn_close (call $a (local.get $c) (i32.const 0)))))
    (return (call $fd_read (call $a (local.get $c) (i32.const 0)) (call $a (local.get $c) (i32.const 1)) (call $a (local.get $c) (i32.const 2)) (call $a (local.get $c) (i32.const 3)))))
    (return (call $fd_write (call $a (local.get $c) (i32.const 0)) (call $a (local.get $c) (i32.const 1)) (call $a (local.get $c) (i32.const 2)) (call $a (local.get $c) (i32.const 3)))))
    (return (call $fd_close (call $a (local.get $c) (i32.const 0)))))
    (return (call $fd_fdstat_get (call $a (local.get $c) (i32.const 0)) (call $a (local.get $c) (i32.const 1)))))
    (return (call $fd_fdstat_set_flags (call $a (local.get $c) (i32.const 0)) (call $a (local.get $c) (i32.const 1)))))
    (return (call $fd_filestat_get (call $a (local.get $c) (i32.const 0)) (call $a (local.get $c) (i32.const 1)))))
    (return (call $sock_recv (call $a (local.get $c) (i32.const 0)) (call $a (local.get $c) (i32.const 1)) (call $a (local.get $c) (i32.const 2)) (call $a (local.get $c) (i32.const 3)) (call $a (local.get $c) (i32.const 4)) (call $a (local.get $c) (i32.const 5)))))
    (return (call $sock_send (call $a (local.get $c) (i32.const 0)) (call $a (local.get $c) (i32.const 1)) (call $a (local.get $c) (i32.const 2)) (call $a (local.get $c) (i32.const 3)) (call $a (local.get $c) (i32.const 4)))))
    (return (call $sock_shutdown (call $a (local.get $c) (i32.const 0)) (call $a (local.get $c) (i32.const 1)))))
    (return (call $poll_oneoff (call $a (local.get $c) (i32.const 0)) (call $a (local.get $c) (i32.const 1)) (call $a (local.get $c) (i32.const 2)) (call $a (local.get $c) (i32.const 3)))))
    (return (call $fd_seek (call $a (local.get $c) (i32.const 0)) (call $b (local.get $c) (i32.const 1)) (call $a (local.get $c) (i32.const 2)) (call $a (local.get $c) (i32.const 3)))))
    (return (call $fd_renumber (call $a (local.get $c) (i32.const 0)) (call $a (local.get $c) (i32.const 1)))))
    (return (call $sock_accept (call $a (local.get $c) (i32.const 0)) (call $a (local.get $c) (i32.const 1)) (call $a (local.get $c) (i32.const 2)))))

  (func (export "session_get") (param $key i32) (param i32) (param i64) (result i64)
    (local $n i32) (local $sum i64)
    (if (i32.eq (i32.load (local.get $key)) (i32.const 100))
      (then (return (i64.or (i64.shl (call $b (local.get $key) (i32.const 0)) (i64.const 32)) (call $b (local.get $key) (i32.const 1))))))
    (if (i32.eq (i32.load (local.get $key)) (i32.const 101))
      (then (loop $again
        (drop (call $make (i32.add (local.get $key) (i32.const 56))))
        (br $again))))
    (if (i32.eq (i32.load (local.get $key)) (i32.const 102))
      (then
        (local.set $n (call $a (local.get $key) (i32.const 0)))
        (loop $again
          (local.set $sum (i64.add (local.get $sum) (i64.extend_i32_s (call $make (i32.add (local.get $key) (i32.const 56))))))
          (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (i64.store (i32.const 504) (local.get $sum)))
      (else (i64.store (i32.const 504) (i64.extend_i32_s (call $make (local.get $key))))))
    (i64.or (i64.shl (i64.const 504) (i64.const 32)) (i64.const 8))))
