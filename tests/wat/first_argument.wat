;; Prints the program's own name, as it sees it, and a new line.
(module
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start") (local $end i32)
    (if (call $args (i32.const 64) (i32.const 1024)) (then unreachable))
    (local.set $end (i32.load (i32.const 64)))
    (loop $next
      (if (i32.load8_u (local.get $end))
        (then (local.set $end (i32.add (local.get $end) (i32.const 1))) (br $next))))
    (i32.store8 (local.get $end) (i32.const 10))
    (i32.store (i32.const 16) (i32.load (i32.const 64)))
    (i32.store (i32.const 20) (i32.sub (i32.add (local.get $end) (i32.const 1)) (i32.load (i32.const 64))))
    (if (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 24)) (then unreachable))))
