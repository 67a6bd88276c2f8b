;; Grows its table without end.
(module
  (table 1 funcref)
  (func (export "_start")
    (loop (br_if 0 (i32.ne (table.grow (ref.null func) (i32.const 65536)) (i32.const -1))))
    (unreachable)))
