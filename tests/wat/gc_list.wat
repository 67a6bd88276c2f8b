;; A list of objects that grows for ever, and stays.
(module
  (type $node (struct (field (ref null $node)) (field i64)))
  (func (export "_start") (local $head (ref null $node))
    (loop $more
      (local.set $head (struct.new $node (local.get $head) (i64.const 1)))
      (br $more))))
