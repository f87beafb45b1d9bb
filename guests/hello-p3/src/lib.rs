//! Says hello through WASI 0.3: a command whose `run` is asynchronous and writes to a stream.

struct Hello;

impl wasip3::exports::cli::run::Guest for Hello {
    async fn run() -> Result<(), ()> {
        let (mut sender, receiver) = wasip3::wit_stream::new();
        let written = wasip3::cli::stdout::write_via_stream(receiver);
        let left_over = sender.write_all(b"hello\n".to_vec()).await;
        drop(sender);
        written.await.map_err(|_| ())?;
        if left_over.is_empty() { Ok(()) } else { Err(()) }
    }
}

wasip3::cli::command::export!(Hello);
