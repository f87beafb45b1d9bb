;; Grows its tables until it is refused, and exits with the number of times; 99 if that was a thousand.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (table $one 0 funcref)
  (table $other 0 funcref)
  (global $times (mut i32) (i32.const 0))
  (func (export "_start")
    (block $refused
      (loop $again
        (br_if $refused (i32.eq (table.grow $one (ref.null func) (i32.const 100000)) (i32.const -1)))
        (br_if $refused (i32.eq (table.grow $other (ref.null func) (i32.const 100000)) (i32.const -1)))
        (global.set $times (i32.add (global.get $times) (i32.const 1)))
        (br_if $again (i32.lt_u (global.get $times) (i32.const 1000)))))
    (call $exit (select (i32.const 99) (global.get $times) (i32.ge_u (global.get $times) (i32.const 99))))))
