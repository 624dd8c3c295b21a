;; A guest that tries, as fast as it can, to write through "dir" while somebody
;; else swaps what that is: it opens dir/target and writes to it, makes
;; dir/made, moves "mine" to dir/mine and back, makes the directory dir/sub, and
;; removes all of them; and it makes and removes dir/gone and the directory
;; dir/empty, which are outside, too.
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_rename" (func $path_rename (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_unlink_file" (func $path_unlink_file (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_create_directory" (func $path_create_directory (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_remove_directory" (func $path_remove_directory (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_filestat_set_times"
    (func $path_filestat_set_times (param i32 i32 i32 i32 i64 i64 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "dir/target")  ;; 10
  (data (i32.const 16) "dir/made")   ;; 8
  (data (i32.const 32) "mine")       ;; 4
  (data (i32.const 48) "dir/mine")   ;; 8
  (data (i32.const 64) "dir/sub")    ;; 7
  (data (i32.const 112) "dir/gone")  ;; 8
  (data (i32.const 128) "dir/empty") ;; 9
  (data (i32.const 80) "FROM THE GUEST") ;; 14
  (data (i32.const 96) "\50\00\00\00\0e\00\00\00") ;; the vector 80, 14

  ;; write opens a path with the flags and writes to it; 1 if that worked
  (func $write (param $path i32) (param $len i32) (param $oflags i32) (result i32)
    (if (call $path_open (i32.const 3) (i32.const 1) (local.get $path) (local.get $len) (local.get $oflags)
          (i64.const 0x42) (i64.const 0) (i32.const 0) (i32.const 104)) ;; rights: read and write
      (then (return (i32.const 0))))
    (drop (call $fd_write (i32.load (i32.const 104)) (i32.const 96) (i32.const 1) (i32.const 108)))
    (drop (call $fd_close (i32.load (i32.const 104))))
    (i32.const 1))

  (func (export "storm") (param $rounds i32) (result i32)
    (local $worked i32)
    (loop $again
      (local.set $worked (i32.add (local.get $worked) (call $write (i32.const 0) (i32.const 10) (i32.const 0))))
      (local.set $worked (i32.add (local.get $worked) (call $write (i32.const 0) (i32.const 10) (i32.const 8)))) ;; truncate
      (local.set $worked (i32.add (local.get $worked) (call $write (i32.const 16) (i32.const 8) (i32.const 1)))) ;; create
      (drop (call $write (i32.const 32) (i32.const 4) (i32.const 1)))
      (drop (call $path_rename (i32.const 3) (i32.const 32) (i32.const 4) (i32.const 3) (i32.const 48) (i32.const 8)))
      (drop (call $path_rename (i32.const 3) (i32.const 48) (i32.const 8) (i32.const 3) (i32.const 32) (i32.const 4)))
      (drop (call $path_create_directory (i32.const 3) (i32.const 64) (i32.const 7)))
      (drop (call $path_filestat_set_times (i32.const 3) (i32.const 1) (i32.const 0) (i32.const 10)
        (i64.const 1) (i64.const 1) (i32.const 5)))
      (drop (call $path_unlink_file (i32.const 3) (i32.const 16) (i32.const 8)))
      (drop (call $path_remove_directory (i32.const 3) (i32.const 64) (i32.const 7)))
      (drop (call $write (i32.const 112) (i32.const 8) (i32.const 1)))
      (drop (call $path_unlink_file (i32.const 3) (i32.const 112) (i32.const 8)))
      (drop (call $path_create_directory (i32.const 3) (i32.const 128) (i32.const 9)))
      (drop (call $path_remove_directory (i32.const 3) (i32.const 128) (i32.const 9)))
      (br_if $again (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))
    (local.get $worked)))
