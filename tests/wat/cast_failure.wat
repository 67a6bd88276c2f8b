;; Casts an array to a structure.
(module
  (type $struct (struct))
  (type $array (array (mut i64)))
  (func (export "_start")
    (drop (ref.cast (ref $struct) (array.new_default $array (i32.const 1))))))
