;; Prints its arguments without the program's name, with a space between them.
(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start") (local $count i32) (local $at i32) (local $end i32)
    ;; Count at 0, bytes at 4; pointers from 64 on, text from 1024 on.
    (if (call $sizes (i32.const 0) (i32.const 4)) (then unreachable))
    (if (call $args (i32.const 64) (i32.const 1024)) (then unreachable))
    (local.set $at (i32.load (i32.const 68)))
    (local.set $end (i32.add (i32.const 1024) (i32.load (i32.const 4))))
    ;; The bytes lie one behind the other; each zero becomes a space, the last one a new line.
    (local.set $count (local.get $at))
    (loop $next
      (if (i32.eqz (i32.load8_u (local.get $count)))
        (then (i32.store8 (local.get $count) (i32.const 32))))
      (local.set $count (i32.add (local.get $count) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $count) (local.get $end))))
    (i32.store8 (i32.sub (local.get $end) (i32.const 1)) (i32.const 10))
    (i32.store (i32.const 16) (local.get $at))
    (i32.store (i32.const 20) (i32.sub (local.get $end) (local.get $at)))
    (if (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 24)) (then unreachable))))
