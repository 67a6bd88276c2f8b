;; Wants 4 000 000 000 table elements from the start.
(module
  (table 4000000000 funcref)
  (func (export "_start")))
