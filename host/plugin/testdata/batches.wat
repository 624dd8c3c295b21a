;; The store of store.wat, which takes several operations in one call. It tells the host's
;; log when it saves, so that a log that does not come back holds it there, and when it has
;; such a call. A value that has no room in the list of results is left to the host. If the first key begins with
;; "!", the byte behind it says what is wrong with the call:
;;
;;   t it traps           l it does not end      o the region lies outside of the memory
;;   e it is UNAVAILABLE  n it is INTERNAL       u it is UNSUPPORTED
;;   z no result          f one result fewer     m one result more
;;   p a code above 0     b a length beyond      v a value for what is not a get
;;   c it uses fuel, as much for each operation as a million rounds of a loop take
;;
;; memory: as in store.wat, and 512 words, 65536 results.
(module
  (import "waddle_v1" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 18)
  (data (i32.const 16) "name\00tiny store\00version\001.0\00capabilities\00cas\00max_key\00128\00max_value\008000\00")
  (data (i32.const 512) "savebatch")
  (func (export "session_abi_v1"))

  (func $equal (param $a i32) (param $b i32) (param $n i32) (result i32)
    (block $no
      (loop $next
        (if (i32.eqz (local.get $n)) (then (return (i32.const 1))))
        (br_if $no (i32.ne (i32.load8_u (local.get $a)) (i32.load8_u (local.get $b))))
        (local.set $a (i32.add (local.get $a) (i32.const 1)))
        (local.set $b (i32.add (local.get $b) (i32.const 1)))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br $next)))
    (i32.const 0))

  (func $slot (param $i i32) (result i32)
    (i32.add (i32.const 131072) (i32.mul (local.get $i) (i32.const 8192))))

  (func $expired (param $s i32) (param $now i64) (result i32)
    (i32.and
      (i64.ne (i64.load (i32.add (local.get $s) (i32.const 16))) (i64.const 0))
      (i64.le_s (i64.load (i32.add (local.get $s) (i32.const 16))) (local.get $now))))

  (func $live (param $s i32) (param $now i64) (result i32)
    (i32.and (i32.ne (i32.load (local.get $s)) (i32.const 0))
             (i32.eqz (call $expired (local.get $s) (local.get $now)))))

  ;; the slot of a key, 0 if there is none
  (func $find (param $key i32) (param $len i32) (param $now i64) (result i32)
    (local $i i32) (local $s i32)
    (block $none
      (loop $next
        (br_if $none (i32.ge_u (local.get $i) (i32.const 128)))
        (local.set $s (call $slot (local.get $i)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $next (i32.eqz (call $live (local.get $s) (local.get $now))))
        (br_if $next (i32.ne (i32.load offset=4 (local.get $s)) (local.get $len)))
        (br_if $next (i32.eqz (call $equal (i32.add (local.get $s) (i32.const 32)) (local.get $key) (local.get $len))))
        (return (local.get $s))))
    (i32.const 0))

  ;; a slot without a live record, 0 if there is none
  (func $vacant (param $now i64) (result i32)
    (local $i i32) (local $s i32)
    (block $none
      (loop $next
        (br_if $none (i32.ge_u (local.get $i) (i32.const 128)))
        (local.set $s (call $slot (local.get $i)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $next (call $live (local.get $s) (local.get $now)))
        (return (local.get $s))))
    (i32.const 0))

  (func (export "session_alloc") (param $size i32) (result i32)
    (select (i32.const 1024) (i32.const 0) (i32.le_u (local.get $size) (i32.const 32768))))

  (func (export "session_open") (param i32 i32) (result i64) (i64.const 0))

  (func $get (export "session_get") (param $key i32) (param $len i32) (param $now i64) (result i64)
    (local $s i32)
    (local.set $s (call $find (local.get $key) (local.get $len) (local.get $now)))
    (if (i32.eqz (local.get $s)) (then (return (i64.const -1))))
    (i64.or
      (i64.shl (i64.extend_i32_u (i32.add (local.get $s) (i32.const 160))) (i64.const 32))
      (i64.extend_i32_u (i32.load offset=8 (local.get $s)))))

  (func $set (export "session_set") (param $key i32) (param $klen i32) (param $val i32) (param $vlen i32)
      (param $expires i64) (param $now i64) (param $expect i64) (result i64)
    (local $s i32)
    (if (i32.or (i32.gt_u (local.get $klen) (i32.const 128)) (i32.gt_u (local.get $vlen) (i32.const 8000)))
      (then (return (i64.const -3))))
    (local.set $s (call $find (local.get $key) (local.get $klen) (local.get $now)))
    (if (i64.ne (local.get $expect) (i64.const 0))
      (then
        (if (i64.eq (local.get $expect) (i64.const -1))
          (then (if (local.get $s) (then (return (i64.const -6)))))
          (else
            (if (i32.eqz (local.get $s)) (then (return (i64.const -6))))
            (if (i64.ne (i64.load offset=160 (local.get $s)) (local.get $expect)) (then (return (i64.const -6))))))))
    (if (i32.and (i64.ne (local.get $expires) (i64.const 0)) (i64.le_s (local.get $expires) (local.get $now)))
      (then
        (if (local.get $s) (then (i32.store (local.get $s) (i32.const 0))))
        (return (i64.const 0))))
    (if (i32.eqz (local.get $s)) (then (local.set $s (call $vacant (local.get $now)))))
    (if (i32.eqz (local.get $s)) (then (return (i64.const -4))))
    (i32.store (local.get $s) (i32.const 1))
    (i32.store offset=4 (local.get $s) (local.get $klen))
    (i32.store offset=8 (local.get $s) (local.get $vlen))
    (i64.store offset=16 (local.get $s) (local.get $expires))
    (i64.store offset=160 (local.get $s) (i64.const 0))
    (memory.copy (i32.add (local.get $s) (i32.const 32)) (local.get $key) (local.get $klen))
    (memory.copy (i32.add (local.get $s) (i32.const 160)) (local.get $val) (local.get $vlen))
    (i64.const 0))

  (func $delete (export "session_delete") (param $key i32) (param $len i32) (param $now i64) (result i64)
    (local $s i32)
    (local.set $s (call $find (local.get $key) (local.get $len) (local.get $now)))
    (if (local.get $s) (then (i32.store (local.get $s) (i32.const 0))))
    (i64.const 0))

  (func (export "session_clear") (param $now i64) (result i64)
    (local $i i32)
    (loop $next
      (i32.store (call $slot (local.get $i)) (i32.const 0))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (i32.const 128))))
    (i64.const 0))

  (func (export "session_save") (param $now i64) (result i64)
    (call $log (i32.const 0) (i32.const 512) (i32.const 4))
    (drop (call $sweep (local.get $now) (i32.const 128)))
    (i64.const 0))

  (func (export "session_describe") (result i64)
    (i64.or (i64.shl (i64.const 16) (i64.const 32)) (i64.const 72)))

  (func $touch (export "session_touch") (param $key i32) (param $len i32) (param $expires i64) (param $now i64) (result i64)
    (local $s i32)
    (local.set $s (call $find (local.get $key) (local.get $len) (local.get $now)))
    (if (i32.eqz (local.get $s)) (then (return (i64.const -1))))
    (i64.store offset=16 (local.get $s) (local.get $expires))
    (if (call $expired (local.get $s) (local.get $now)) (then (i32.store (local.get $s) (i32.const 0))))
    (i64.const 0))

  ;; goes on at the slot where the last one ended
  (global $swept (mut i32) (i32.const 0))
  (func $sweep (export "session_sweep") (param $now i64) (param $max i32) (result i64)
    (local $i i32) (local $s i32) (local $n i64)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $i) (select (local.get $max) (i32.const 128) (i32.lt_u (local.get $max) (i32.const 128)))))
        (local.set $s (call $slot (global.get $swept)))
        (global.set $swept (i32.and (i32.add (global.get $swept) (i32.const 1)) (i32.const 127)))
        (if (i32.and (i32.load (local.get $s)) (call $expired (local.get $s) (local.get $now)))
          (then
            (i32.store (local.get $s) (i32.const 0))
            (local.set $n (i64.add (local.get $n) (i64.const 1)))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next)))
    (local.get $n))

  ;; eight slots to a chunk; the cursor is the first slot of the next one
  (func (export "session_keys") (param $cursor i64) (param $now i64) (result i64)
    (local $i i32) (local $to i32) (local $s i32) (local $n i32)
    (local.set $i (i32.wrap_i64 (local.get $cursor)))
    (local.set $n (i32.add (local.get $i) (i32.const 8)))
    (i64.store (i32.const 65536)
      (select (i64.const 0) (i64.extend_i32_u (local.get $n)) (i32.ge_u (local.get $n) (i32.const 128))))
    (local.set $to (i32.const 65544))
    (loop $next
      (local.set $s (call $slot (local.get $i)))
      (if (call $live (local.get $s) (local.get $now))
        (then
          (i32.store (local.get $to) (i32.load offset=4 (local.get $s)))
          (memory.copy (i32.add (local.get $to) (i32.const 4)) (i32.add (local.get $s) (i32.const 32)) (i32.load offset=4 (local.get $s)))
          (local.set $to (i32.add (local.get $to) (i32.add (i32.const 4) (i32.load offset=4 (local.get $s)))))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (local.get $n))))
    (i64.or (i64.shl (i64.const 65536) (i64.const 32)) (i64.extend_i32_u (i32.sub (local.get $to) (i32.const 65536)))))

  (func (export "session_snapshot") (param $cursor i64) (param $now i64) (result i64)
    (local $i i32) (local $to i32) (local $s i32) (local $n i32)
    (local.set $i (i32.wrap_i64 (local.get $cursor)))
    (local.set $n (i32.add (local.get $i) (i32.const 4)))
    (i64.store (i32.const 65536)
      (select (i64.const 0) (i64.extend_i32_u (local.get $n)) (i32.ge_u (local.get $n) (i32.const 128))))
    (local.set $to (i32.const 65544))
    (loop $next
      (local.set $s (call $slot (local.get $i)))
      (if (call $live (local.get $s) (local.get $now))
        (then
          (i32.store (local.get $to) (i32.load offset=4 (local.get $s)))
          (i32.store offset=4 (local.get $to) (i32.load offset=8 (local.get $s)))
          (i64.store offset=8 (local.get $to) (i64.load offset=16 (local.get $s)))
          (local.set $to (i32.add (local.get $to) (i32.const 16)))
          (memory.copy (local.get $to) (i32.add (local.get $s) (i32.const 32)) (i32.load offset=4 (local.get $s)))
          (local.set $to (i32.add (local.get $to) (i32.load offset=4 (local.get $s))))
          (memory.copy (local.get $to) (i32.add (local.get $s) (i32.const 160)) (i32.load offset=8 (local.get $s)))
          (local.set $to (i32.add (local.get $to) (i32.load offset=8 (local.get $s))))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (local.get $n))))
    (i64.or (i64.shl (i64.const 65536) (i64.const 32)) (i64.extend_i32_u (i32.sub (local.get $to) (i32.const 65536)))))

  (func (export "session_restore") (param $p i32) (param $len i32) (param $now i64) (result i64)
    (local $end i32) (local $klen i32) (local $vlen i32) (local $expires i64) (local $r i64)
    (local.set $end (i32.add (local.get $p) (local.get $len)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $p) (local.get $end)))
        (local.set $klen (i32.load (local.get $p)))
        (local.set $vlen (i32.load offset=4 (local.get $p)))
        (local.set $expires (i64.load offset=8 (local.get $p)))
        (local.set $p (i32.add (local.get $p) (i32.const 16)))
        (if (i32.or (i64.eqz (local.get $expires)) (i64.gt_s (local.get $expires) (local.get $now)))
          (then
            (local.set $r (call $set (local.get $p) (local.get $klen) (i32.add (local.get $p) (local.get $klen)) (local.get $vlen)
              (local.get $expires) (local.get $now) (i64.const 0)))
            (if (i64.lt_s (local.get $r) (i64.const 0)) (then (return (local.get $r))))))
        (local.set $p (i32.add (local.get $p) (i32.add (local.get $klen) (local.get $vlen))))
        (br $next)))
    (i64.const 0))

  ;; adds a result, and returns the place behind it
  (func $result (param $to i32) (param $r i64) (param $value i32) (result i32)
    (local $len i32)
    (if (i64.lt_s (local.get $r) (i64.const 0))
      (then
        (i32.store (local.get $to) (i32.wrap_i64 (local.get $r)))
        (i32.store offset=4 (local.get $to) (i32.const 0))
        (return (i32.add (local.get $to) (i32.const 8)))))
    (if (local.get $value) (then (local.set $len (i32.wrap_i64 (local.get $r)))))
    (if (i32.gt_u (i32.add (local.get $to) (local.get $len)) (i32.const 122880))
      (then (return (call $result (local.get $to) (i64.const -9) (i32.const 0)))))
    (i32.store (local.get $to) (i32.const 0))
    (i32.store offset=4 (local.get $to) (local.get $len))
    (memory.copy (i32.add (local.get $to) (i32.const 8)) (i32.wrap_i64 (i64.shr_u (local.get $r) (i64.const 32))) (local.get $len))
    (i32.add (i32.add (local.get $to) (i32.const 8)) (local.get $len)))

  (func $do (param $op i32) (result i64)
    (local $key i32) (local $klen i32)
    (local.set $key (i32.add (local.get $op) (i32.const 40)))
    (local.set $klen (i32.load offset=4 (local.get $op)))
    (if (i32.eq (i32.load (local.get $op)) (i32.const 1))
      (then (return (call $get (local.get $key) (local.get $klen) (i64.load offset=24 (local.get $op))))))
    (if (i32.eq (i32.load (local.get $op)) (i32.const 2))
      (then (return (call $set (local.get $key) (local.get $klen)
        (i32.add (local.get $key) (local.get $klen)) (i32.load offset=8 (local.get $op))
        (i64.load offset=16 (local.get $op)) (i64.load offset=24 (local.get $op)) (i64.load offset=32 (local.get $op))))))
    (if (i32.eq (i32.load (local.get $op)) (i32.const 3))
      (then (return (call $delete (local.get $key) (local.get $klen) (i64.load offset=24 (local.get $op))))))
    (call $touch (local.get $key) (local.get $klen) (i64.load offset=16 (local.get $op)) (i64.load offset=24 (local.get $op))))

  (func $spend
    (local $n i32)
    (loop $next
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $n) (i32.const 1000000)))))

  (func (export "session_batch") (param $list i32) (param $len i32) (result i64)
    (local $end i32) (local $to i32) (local $wrong i32)
    (call $log (i32.const 0) (i32.const 516) (i32.const 5))
    (if (i32.eq (i32.load8_u offset=40 (local.get $list)) (i32.const 33)) ;; !
      (then (local.set $wrong (i32.load8_u offset=41 (local.get $list)))))
    (if (i32.eq (local.get $wrong) (i32.const 116)) (then unreachable)) ;; t
    (if (i32.eq (local.get $wrong) (i32.const 108)) (then (loop $ever (br $ever)))) ;; l
    (if (i32.eq (local.get $wrong) (i32.const 111)) ;; o
      (then (return (i64.or (i64.shl (i64.const 1179640) (i64.const 32)) (i64.const 16)))))
    (if (i32.eq (local.get $wrong) (i32.const 101)) (then (return (i64.const -5)))) ;; e
    (if (i32.eq (local.get $wrong) (i32.const 110)) (then (return (i64.const -10)))) ;; n
    (if (i32.eq (local.get $wrong) (i32.const 117)) (then (return (i64.const -9)))) ;; u
    (if (i32.eq (local.get $wrong) (i32.const 122)) (then (return (i64.const 0)))) ;; z
    (local.set $end (i32.add (local.get $list) (local.get $len)))
    (local.set $to (i32.const 65536))
    (loop $next
      (if (i32.eq (local.get $wrong) (i32.const 99)) (then (call $spend))) ;; c
      (local.set $to (call $result (local.get $to) (call $do (local.get $list))
        (i32.eq (i32.load (local.get $list)) (i32.const 1))))
      (local.set $list (i32.add (i32.add (i32.add (local.get $list) (i32.const 40))
        (i32.load offset=4 (local.get $list))) (i32.load offset=8 (local.get $list))))
      (br_if $next (i32.lt_u (local.get $list) (local.get $end))))
    (if (i32.eq (local.get $wrong) (i32.const 102)) (then (local.set $to (i32.sub (local.get $to) (i32.const 8))))) ;; f
    (if (i32.eq (local.get $wrong) (i32.const 109)) ;; m
      (then
        (i64.store (local.get $to) (i64.const 0))
        (local.set $to (i32.add (local.get $to) (i32.const 8)))))
    (if (i32.eq (local.get $wrong) (i32.const 112)) (then (i32.store (i32.const 65536) (i32.const 5)))) ;; p
    (if (i32.eq (local.get $wrong) (i32.const 98)) (then (i32.store (i32.const 65540) (i32.const 0x7fffffff)))) ;; b
    (if (i32.eq (local.get $wrong) (i32.const 118)) ;; v
      (then
        (i64.store (i32.const 65536) (i64.const 0x0000000800000000))
        (local.set $to (i32.add (local.get $to) (i32.const 8)))))
    (i64.or (i64.shl (i64.const 65536) (i64.const 32)) (i64.extend_i32_u (i32.sub (local.get $to) (i32.const 65536))))))
