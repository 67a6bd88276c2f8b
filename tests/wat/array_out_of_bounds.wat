;; Reads behind an array.
(module
  (type $array (array (mut i64)))
  (func (export "_start")
    (drop (array.get $array (array.new_default $array (i32.const 2)) (i32.const 2)))))
