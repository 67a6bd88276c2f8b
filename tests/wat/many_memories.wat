;; More memories than a worker keeps room for, which are read and written, and a table that grows.
(module
  (memory 1) (memory 1) (memory 1) (memory 1) (memory 1) (memory 1) (memory 1) (memory 1)
  (memory $last 1)
  (table $table 1 funcref)
  ;; What was there.
  (func (export "swap") (param $value i64) (result i64)
    (i64.load $last (i32.const 8))
    (i64.store $last (i32.const 8) (local.get $value)))
  (func (export "grow_table") (param $elements i64) (result i64)
    (i64.extend_i32_s (table.grow $table (ref.null func) (i32.wrap_i64 (local.get $elements))))))
