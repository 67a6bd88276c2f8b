;; A memory with 64-bit addresses: needs `memory64`.
(module
  (memory i64 1)
  (func (export "written") (param i64) (result i64)
    (i64.store (i64.const 100) (local.get 0))
    (i64.load (i64.const 100))))
