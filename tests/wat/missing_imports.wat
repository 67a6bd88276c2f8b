;; Wants a function that exists with another signature, and two that do not exist.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func (param i64) (result i64)))
  (import "wasi_snapshot_preview1" "no_such_function" (func))
  (import "env" "something" (func (param i32)))
  (func (export "_start")))
