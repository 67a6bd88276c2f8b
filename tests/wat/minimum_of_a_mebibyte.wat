;; Wants a mebibyte and a page of memory from the start.
(module
  (memory 17)
  (func (export "_start")))
