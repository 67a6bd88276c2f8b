;; Calls a function through another signature.
(module
  (table 2 funcref)
  (func $f (param i32))
  (elem (i32.const 0) $f)
  (func (export "_start")
    (call_indirect (i32.const 0))))
