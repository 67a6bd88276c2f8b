;; Has all the memory that there can be, and uses none of it.
(module
  (memory 65536)
  (func (export "_start")))
