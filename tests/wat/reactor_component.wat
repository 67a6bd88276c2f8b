;; A component of a reactor, as `wasm-tools component new` makes it: a start section calls `_initialize`.
(component
  (core module $reactor
    (global $times (mut i32) (i32.const 0))
    (func (export "_initialize") (global.set $times (i32.add (global.get $times) (i32.const 1))))
    (func (export "answer") (param i32) (result i32)
      (i32.add (local.get 0) (i32.mul (global.get $times) (i32.const 42)))))
  (core module $initializer
    (import "" "_initialize" (func $initialize))
    (start $initialize))
  (core instance $reactor (instantiate $reactor))
  (core instance (instantiate $initializer
    (with "" (instance (export "_initialize" (func $reactor "_initialize"))))))
  (func (export "answer") (param "more" u32) (result u32) (canon lift (core func $reactor "answer"))))
