//! Asks a server for a page, on `wasi:http` 0.3. Flags and output as of the program on 0.2 (`http/src/bin/fetch.rs`).

use guest_parts::command_line::Wanted;
use p3_guests::{Code, body, fail, request};
use std::io::{Write, stdout};
use wasip3::exports::cli::run::Guest;
use wasip3::http::client;
use wasip3::http::types::{ErrorCode, Response};
use wasip3::wit_bindgen::rt::async_support::StreamResult;

const CHUNK_BYTES: usize = 64 * 1024;

struct Fetch;

impl Guest for Fetch {
    async fn run() -> Result<(), ()> {
        let wanted = Wanted::parse(std::env::args().skip(1));
        for _ in 0..wanted.repeat {
            let request = match request::of(&wanted) {
                Ok(request) => request,
                Err(error) => return fail(format!("header: {error:?}")),
            };
            let shown = match client::send(request).await {
                Ok(response) => show(response).await,
                Err(error) => Err(error),
            };
            // A library has no end of `main` that would do it.
            stdout().flush().expect("somebody reads");
            if let Err(error) = shown {
                return fail(format!("error: {}", error.name()));
            }
        }
        Ok(())
    }
}

async fn show(response: Response) -> Result<(), ErrorCode> {
    println!("{}", response.get_status_code());
    println!("{}", body::lines(&response.get_headers()).concat());
    let (mut stream, end) = body::of_response(response);
    loop {
        let (result, data) = stream.read(Vec::with_capacity(CHUNK_BYTES)).await;
        stdout().write_all(&data).expect("somebody reads");
        if result == StreamResult::Dropped {
            break;
        }
    }
    drop(stream);
    if let Some(trailers) = end.await? {
        print!("{}", body::lines(&trailers).concat());
    }
    Ok(())
}

wasip3::cli::command::export!(Fetch);
