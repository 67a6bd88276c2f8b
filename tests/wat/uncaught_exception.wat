;; Throws what nobody catches.
(module
  (tag $e)
  (func (export "_start")
    (throw $e)))
