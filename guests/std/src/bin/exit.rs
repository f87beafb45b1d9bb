//! Exits with the code named by its first argument, to see that it becomes the exit code of the runner.
//!
//! WASI 0.2 knows only success and failure, so there every code but 0 arrives as 1; preview 1 passes it on as it is.

fn main() {
    let code = std::env::args().nth(1).expect("usage: exit CODE");
    std::process::exit(code.parse().expect("CODE is a number"));
}
