;; Objects as external references, kept in a table that grows with them.
(module
  (type $small (struct (field i64)))
  (table $kept 0 externref)
  (func (export "_start")
    (loop $more
      (br_if $more (i32.ne (i32.const -1)
        (table.grow $kept (extern.convert_any (struct.new $small (i64.const 1))) (i32.const 1)))))
    (unreachable)))
