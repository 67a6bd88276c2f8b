;; Asks for an array that no machine has room for.
(module
  (type $array (array (mut i64)))
  (func (export "_start")
    (drop (array.new_default $array (i32.const -1)))))
