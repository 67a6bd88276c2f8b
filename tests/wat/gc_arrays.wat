;; Arrays of a mebibyte, all kept in a table.
(module
  (type $array (array (mut i8)))
  (table $kept 100000 anyref)
  (func (export "_start") (local $at i32)
    (loop $more
      (table.set $kept (local.get $at) (array.new $array (i32.const 7) (i32.const 0x100000)))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br $more))))
