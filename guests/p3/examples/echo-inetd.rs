//! Sends back whatever comes, as soon as it comes, until the client ends: it is at standard input and output.

use p3_guests::fail;
use wasip3::cli::{stdin, stdout};
use wasip3::exports::cli::run::Guest;
use wasip3::wit_bindgen::rt::async_support::StreamResult;

struct Echo;

impl Guest for Echo {
    async fn run() -> Result<(), ()> {
        let (mut input, received) = stdin::read_via_stream();
        let (mut output, data) = wasip3::wit_stream::new();
        let sent = stdout::write_via_stream(data);
        loop {
            let (result, data) = input.read(Vec::with_capacity(16 * 1024)).await;
            let unsent = output.write_all(data).await;
            if result == StreamResult::Dropped || !unsent.is_empty() {
                break;
            }
        }
        drop((input, output));
        let (received, sent) = futures::join!(received.into_future(), sent.into_future());
        if received.is_err() || sent.is_err() {
            return fail(format!("echo-inetd: received: {received:?}, sent: {sent:?}"));
        }
        Ok(())
    }
}

wasip3::cli::command::export!(Echo);
