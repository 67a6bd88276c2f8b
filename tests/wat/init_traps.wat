;; Traps before its first task.
(module
  (func (export "wasmpool-init") (i32.const 1) (i32.const 0) (i32.div_s) (drop))
  (func (export "look") (result i32) (i32.const 1)))
