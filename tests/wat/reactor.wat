;; A reactor: its answer is 42 only after it was initialised, once.
(module
  (global $times (mut i32) (i32.const 0))
  (func (export "_initialize") (global.set $times (i32.add (global.get $times) (i32.const 1))))
  (func (export "answer") (param i32) (result i32)
    (i32.add (local.get 0) (i32.mul (global.get $times) (i32.const 42)))))
