;; Calls itself without end, and the host at each level: the host's own frames need room above the guest's.
(module
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
  (memory (export "memory") 1)
  (func $deeper (param $depth i32)
    (drop (call $clock (i32.const 1) (i64.const 0) (i32.const 0)))
    (call $deeper (i32.add (local.get $depth) (i32.const 1)))
    (drop (call $clock (i32.const 1) (i64.const 0) (i32.const 0))))
  (func (export "_start")
    (call $deeper (i32.const 0))))
