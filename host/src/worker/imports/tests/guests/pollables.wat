;; Makes pollables until there is no room for one more.
(component
  (import "wasi:io/poll@0.2.0" (instance $poll (export "pollable" (type (sub resource)))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $pollable (type $outer))
    (export "pollable" (type $local (eq $outer)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $local))))))
  (core func $subscribe (canon lower (func $clock "subscribe-duration")))
  (core module $main
    (import "clock" "subscribe" (func $subscribe (param i64) (result i32)))
    (func (export "run")
      (loop (drop (call $subscribe (i64.const 1000000000))) (br 0))))
  (core instance $instance (instantiate $main
    (with "clock" (instance (export "subscribe" (func $subscribe))))))
  (func (export "run") (canon lift (core func $instance "run"))))
