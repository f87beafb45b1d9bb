//! Says hello: the smallest command, to see that anything runs at all and how fast.

fn main() {
    println!("hello");
}
