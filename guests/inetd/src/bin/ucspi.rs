//! Tells the client what this program knows about it: its arguments, then its environment, sorted.
//!
//! Under UCSPI that is `PROTO`, `TCPREMOTEIP`, `TCPREMOTEPORT`, `TCPLOCALIP` and `TCPLOCALPORT`.

fn main() {
    for (index, argument) in std::env::args().enumerate().skip(1) {
        println!("arg {index} {argument}");
    }
    let mut variables: Vec<(String, String)> = std::env::vars().collect();
    variables.sort();
    for (name, value) in variables {
        println!("{name}={value}");
    }
}
