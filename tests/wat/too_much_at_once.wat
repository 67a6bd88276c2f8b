;; Asks for as much as one call of the host can be asked for. Its memory of 4 GiB is never touched.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_pwrite" (func $fd_pwrite (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (memory (export "memory") 65536)
  ;; 2^28 vectors, all of them empty.
  (func (export "write_of_vectors") (result i32)
    (call $fd_write (i32.const 1) (i32.const 64) (i32.const 0x10000000) (i32.const 16)))
  (func (export "read_of_vectors") (result i32)
    (call $fd_read (i32.const 0) (i32.const 64) (i32.const 0x10000000) (i32.const 16)))
  (func (export "write_at_of_vectors") (result i32)
    (call $fd_pwrite (i32.const 1) (i32.const 64) (i32.const 0x10000000) (i64.const 0) (i32.const 16)))
  ;; 2^16 vectors, each with nearly all memory.
  (func (export "write_of_overlapping_vectors") (result i32)
    (local $at i32)
    (loop $next
      (i32.store (i32.add (i32.const 64) (local.get $at)) (i32.const 0))
      (i32.store (i32.add (i32.const 68) (local.get $at)) (i32.const -1))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))
      (br_if $next (i32.lt_u (local.get $at) (i32.const 0x80000))))
    (call $fd_write (i32.const 1) (i32.const 64) (i32.const 0x10000) (i32.const 16)))
  (func (export "poll_of_subscriptions") (result i32)
    (call $poll_oneoff (i32.const 64) (i32.const 0x40000000) (i32.const 1000000) (i32.const 16)))
  (func (export "random_of_a_gibibyte") (result i32)
    (call $random_get (i32.const 64) (i32.const 0x40000000))))
