;; The same inside of another component, as where plugins are composed into one: how should it know whose chunk it is?
(component
  (type $error' (variant (case "failed" string) (case "invalid-arguments" string) (case "other" string)))
  (import "wasmpool:task/types@0.1.0" (instance $types (export "task-error" (type (eq $error')))))
  (import "wasmpool:task/chunk@0.1.0" (instance $chunk (export "following" (func (result u32)))))
  (component $inner
    (type $error' (variant (case "failed" string) (case "invalid-arguments" string) (case "other" string)))
    (import "wasmpool:task/types@0.1.0" (instance $types (export "task-error" (type (eq $error')))))
    (alias export $types "task-error" (type $error))
    (import "wasmpool:task/chunk@0.1.0" (instance $chunk (export "following" (func (result u32)))))
    (core func $following (canon lower (func $chunk "following")))
    (core module $m
      (@custom "wasmpool-task" "{\"v\":1,\"name\":\"following\",\"export\":\"following\",\"doc\":\"\",\"params\":[{\"name\":\"n\",\"type\":\"u64\",\"optional\":false}],\"returns\":\"u32\",\"args\":\"json\",\"result\":\"json\"}\0a")
      (import "chunk" "following" (func $following (result i32)))
      (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
      (func (export "work") (param i32 i32) (result i32)
        (i32.store8 (i32.const 100) (i32.add (i32.const 48) (call $following)))
        (i32.store (i32.const 20) (i32.const 100))
        (i32.store (i32.const 24) (i32.const 1))
        (i32.const 16)))
    (core instance $i (instantiate $m (with "chunk" (instance (export "following" (func $following))))))
    (func (export "following") (param "args" (list u8)) (result (result (list u8) (error $error)))
      (canon lift (core func $i "work") (memory $i "memory") (realloc (func $i "realloc")))))
  (instance $i (instantiate $inner
    (with "wasmpool:task/types@0.1.0" (instance $types))
    (with "wasmpool:task/chunk@0.1.0" (instance $chunk))))
  (export "following" (func $i "following")))
