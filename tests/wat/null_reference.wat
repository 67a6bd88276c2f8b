;; Calls a null reference.
(module
  (type $none (func))
  (func (export "_start")
    (call_ref $none (ref.null $none))))
