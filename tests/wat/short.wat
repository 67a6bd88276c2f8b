;; Short tasks, and the ways in which one of many ends otherwise. It asks its host for nothing.
(module
  (func (export "double") (param $value i64) (result i64)
    (i64.add (local.get $value) (local.get $value)))
  (func (export "spin_if") (param $value i64) (param $bad i64) (result i64)
    (if (i64.eq (local.get $value) (local.get $bad)) (then (loop $forever (br $forever))))
    (local.get $value))
  (func (export "trap_each") (param $value i64) (param $each i64) (result i64)
    (if (i64.eqz (i64.rem_s (local.get $value) (local.get $each))) (then unreachable))
    (local.get $value))
  (func (export "count_down") (param $value i64) (result i64)
    (loop $again
      (local.set $value (i64.sub (local.get $value) (i64.const 1)))
      (br_if $again (i64.gt_s (local.get $value) (i64.const 0))))
    (local.get $value)))
