//! The smallest server on `wasi:http` 0.3: greets whoever asks.

use p3_guests::body;
use wasip3::exports::http::handler::Guest;
use wasip3::http::types::{ErrorCode, Request, Response};

struct Hello;

impl Guest for Hello {
    async fn handle(_request: Request) -> Result<Response, ErrorCode> {
        Ok(body::text(200, "Hello, world!\n"))
    }
}

wasip3::http::service::export!(Hello);
