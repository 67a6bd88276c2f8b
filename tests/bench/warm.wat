;; Writes 50 MB again and again before its first task, for half a second or so, and looks at a byte of it in each task.
(module
  (memory (export "memory") 800)
  (func (export "wasmpool-init") (local $at i32) (local $round i64)
    (loop $rounds
      (local.set $at (i32.const 0))
      (loop $bytes
        (i64.store (local.get $at) (i64.add (i64.load (local.get $at)) (local.get $round)))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br_if $bytes (i32.lt_u (local.get $at) (i32.const 52428800))))
      (local.set $round (i64.add (local.get $round) (i64.const 1)))
      (br_if $rounds (i64.lt_u (local.get $round) (i64.const 50)))))
  (func (export "look") (param i64) (result i64)
    (i64.load8_u (i32.wrap_i64 (i64.mul (local.get 0) (i64.const 4096))))))
