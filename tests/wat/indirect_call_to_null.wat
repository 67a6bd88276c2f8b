;; Calls through an empty element of its table.
(module
  (table 2 funcref)
  (func (export "_start")
    (call_indirect (i32.const 1))))
