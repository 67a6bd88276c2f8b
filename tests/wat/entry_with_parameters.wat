;; Its entry wants a parameter.
(module (func (export "_start") (param i32)))
