;; Never ends, before anything is called.
(module
  (func $spin (loop (br 0)))
  (start $spin)
  (func (export "_start")))
