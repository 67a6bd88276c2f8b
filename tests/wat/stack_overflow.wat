;; Calls itself without end.
(module
  (func $deep (call $deep))
  (func (export "_start")
    (call $deep)))
