//! Exits with the code named by its first argument, to see that it becomes the exit code of the runner.

fn main() {
    let code = std::env::args().nth(1).expect("usage: exit CODE");
    std::process::exit(code.parse().expect("CODE is a number"));
}
