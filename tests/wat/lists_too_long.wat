;; A component that gives and asks for lists as long as its numbers go.
(component
  (import "wasi:random/random@0.2.6" (instance $random
    (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))
  (import "wasmpool:task/context@0.1.0" (instance $context
    (export "panicked" (func (param "message" string) (param "file" string) (param "line" u32) (param "column" u32)))))
  (core module $libc
    (memory (export "memory") 32)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536)))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (core func $realloc (alias core export $libc "realloc"))
  (core func $bytes (canon lower (func $random "get-random-bytes") (memory $memory) (realloc $realloc)))
  (core func $panicked (canon lower (func $context "panicked") (memory $memory)))
  (core module $main
    (import "host" "bytes" (func $bytes (param i64 i32)))
    (import "host" "panicked" (func $panicked (param i32 i32 i32 i32 i32 i32)))
    (import "libc" "memory" (memory 32))
    (func (export "random") (param i64) (result i32) (call $bytes (local.get 0) (i32.const 0)) (i32.const 0))
    (func (export "string") (result i32)
      (call $panicked (i32.const 1024) (i32.const -1) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
      (i32.const 0))
    (func (export "file") (result i32)
      (call $panicked (i32.const 0) (i32.const 0) (i32.const -1) (i32.const 1) (i32.const 0) (i32.const 0))
      (i32.const 0))
    ;; One list: where it is and how long it says it is.
    (func (export "result") (result i32)
      (i32.store (i32.const 0) (i32.const 1024))
      (i32.store (i32.const 4) (i32.const -1))
      (i32.const 0))
    ;; 100 000 lists of 1 MiB each, all of them the same.
    (func (export "results") (result i32) (local $at i32)
      (local.set $at (i32.const 1024))
      (loop $next
        (i32.store (local.get $at) (i32.const 1024))
        (i32.store offset=4 (local.get $at) (i32.const 0x100000))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br_if $next (i32.lt_u (local.get $at) (i32.const 801024))))
      (i32.store (i32.const 0) (i32.const 1024))
      (i32.store (i32.const 4) (i32.const 100000))
      (i32.const 0)))
  (core instance $main (instantiate $main
    (with "host" (instance (export "bytes" (func $bytes)) (export "panicked" (func $panicked))))
    (with "libc" (instance $libc))))
  (func (export "random") (param "n" u64) (result u32) (canon lift (core func $main "random")))
  (func (export "text") (result u32) (canon lift (core func $main "string")))
  (func (export "file") (result u32) (canon lift (core func $main "file")))
  (func (export "bytes") (result (list u8)) (canon lift (core func $main "result") (memory $memory)))
  (func (export "numbers") (result (list u64)) (canon lift (core func $main "result") (memory $memory)))
  (func (export "texts") (result (list string)) (canon lift (core func $main "results") (memory $memory))))
