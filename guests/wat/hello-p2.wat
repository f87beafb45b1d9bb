;; Says hello by WASI 0.2 and nothing else: the smallest command component. Benchmarks start it, because all that it takes
;; is what starting takes.
(component
  (import "wasi:io/error@0.2.0" (instance $error (export "error" (type (sub resource)))))
  (alias export $error "error" (type $error-type))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (alias outer 1 $error-type (type $outer-error))
    (export "error" (type $e (eq $outer-error)))
    (export "output-stream" (type $output (sub resource)))
    (type $variant (variant (case "last-operation-failed" (own $e)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $variant)))
    (export "[method]output-stream.blocking-write-and-flush"
      (func (param "self" (borrow $output)) (param "contents" (list u8)) (result (result (error $stream-error)))))
  ))
  (alias export $streams "output-stream" (type $output-stream))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $output-stream (type $outer-output))
    (export "output-stream" (type $output (eq $outer-output)))
    (export "get-stdout" (func (result (own $output))))
  ))

  (core module $memory-module
    (memory (export "memory") 1)
    (data (i32.const 16) "hello\n"))
  (core instance $memory (instantiate $memory-module))
  (alias core export $memory "memory" (core memory $bytes))
  (alias export $stdout "get-stdout" (func $host-get-stdout))
  (alias export $streams "[method]output-stream.blocking-write-and-flush" (func $host-write))
  (core func $get-stdout (canon lower (func $host-get-stdout)))
  (core func $write (canon lower (func $host-write) (memory $bytes)))
  (core func $drop (canon resource.drop $output-stream))

  (core module $main
    (import "host" "get-stdout" (func $get-stdout (result i32)))
    (import "host" "write" (func $write (param i32 i32 i32 i32)))
    (import "host" "drop" (func $drop (param i32)))
    (import "host" "memory" (memory 1))
    (func (export "run") (result i32)
      (local $stdout i32)
      (local.set $stdout (call $get-stdout))
      ;; Six bytes from 16; what came of it goes to 32.
      (call $write (local.get $stdout) (i32.const 16) (i32.const 6) (i32.const 32))
      (call $drop (local.get $stdout))
      (i32.load8_u (i32.const 32))))
  (core instance $main (instantiate $main (with "host" (instance
    (export "get-stdout" (func $get-stdout))
    (export "write" (func $write))
    (export "drop" (func $drop))
    (export "memory" (memory $bytes))))))

  (alias core export $main "run" (core func $main-run))
  (func $run (result (result)) (canon lift (core func $main-run)))
  (instance $command (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $command)))
