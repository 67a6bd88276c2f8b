;; Calls the host while the host puts a string into it: each level would begin another one.
(component
  (import "wasmpool:task/context@0.1.0" (instance $context (export "name" (func (result string)))))
  (core module $libc
    (memory (export "memory") 1)
    (table (export "hooks") 1 funcref)
    (type $hook (func))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (call_indirect (type $hook) (i32.const 0))
      (i32.const 16)))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (core func $realloc (alias core export $libc "realloc"))
  (core func $name (canon lower (func $context "name") (memory $memory) (realloc $realloc)))
  (core module $main
    (import "host" "name" (func $name (param i32)))
    (import "libc" "hooks" (table 1 funcref))
    (elem (i32.const 0) $ask)
    (func $ask (call $name (i32.const 0)))
    (func (export "run") (result i32) (call $ask) (i32.const 0)))
  (core instance $main (instantiate $main
    (with "host" (instance (export "name" (func $name))))
    (with "libc" (instance $libc))))
  (func $run (result (result)) (canon lift (core func $main "run")))
  (instance $command (export "run" (func $run)))
  (export "wasi:cli/run@0.2.6" (instance $command)))
