//! Generates the wire types from `proto/cordboard.proto`, without `protoc`.

use std::error::Error;

const PROTO_DIR: &str = "../../proto";
const SCHEMA: &str = "../../proto/cordboard.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={SCHEMA}");
    let schema = protox::compile([SCHEMA], [PROTO_DIR])?;
    prost_build::Config::new().compile_fds(schema)?;
    Ok(())
}
