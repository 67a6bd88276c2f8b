;; Throws without end, and keeps every exception that it catches.
(module
  (type $node (struct (field (ref null $node)) (field exnref)))
  (tag $e (param i64 i64))
  (func (export "_start") (local $head (ref null $node)) (local $caught exnref)
    (loop $more
      (local.set $caught
        (block $handler (result exnref)
          (try_table (catch_all_ref $handler)
            (throw $e (i64.const 1) (i64.const 2)))
          (unreachable)))
      (local.set $head (struct.new $node (local.get $head) (local.get $caught)))
      (br $more))))
