//! Connects to port 22 of a host and prints what the server says first: the program that started this project.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;

fn main() {
    let host = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1".to_string());
    match TcpStream::connect((host.as_str(), 22)) {
        Ok(stream) => {
            println!("Connected to {}", stream.peer_addr().expect("a connected stream has a peer"));
            for line in BufReader::new(stream).lines() {
                println!("{}", line.expect("the server sends text"));
            }
        }
        Err(error) => panic!("Failed to connect: {error}"),
    }
}
