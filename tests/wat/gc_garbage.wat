;; Two million small objects of which every second one is dropped again and again: much garbage, in many pieces.
(module
  (type $small (struct (field (mut i64))))
  (type $array (array (mut (ref null $small))))
  (func (export "_start") (local $kept (ref $array)) (local $at i32) (local $round i32)
    (local.set $kept (array.new_default $array (i32.const 500000)))
    (loop $again
      (local.set $at (i32.const 0))
      (loop $more
        (array.set $array (local.get $kept) (local.get $at) (struct.new $small (i64.const 1)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br_if $more (i32.lt_u (local.get $at) (i32.const 500000))))
      (local.set $at (i32.const 0))
      (loop $drop
        (array.set $array (local.get $kept) (local.get $at) (ref.null $small))
        (local.set $at (i32.add (local.get $at) (i32.const 2)))
        (br_if $drop (i32.lt_u (local.get $at) (i32.const 500000))))
      (local.set $round (i32.add (local.get $round) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $round) (i32.const 4))))))
