;; Fills a gibibyte again and again, each time by one instruction.
(module
  (memory 16384)
  (func (export "_start")
    (loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 0x40000000)) (br 0))))
