;; Drops a list of half a million objects at once: the collector must not recurse.
(module
  (type $node (struct (field (ref null $node))))
  (func (export "_start") (local $head (ref null $node)) (local $n i32) (local $round i32)
    (loop $again
      (local.set $head (ref.null $node))
      (local.set $n (i32.const 0))
      (loop $more
        (local.set $head (struct.new $node (local.get $head)))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $more (i32.lt_u (local.get $n) (i32.const 500000))))
      (local.set $round (i32.add (local.get $round) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $round) (i32.const 3))))))
