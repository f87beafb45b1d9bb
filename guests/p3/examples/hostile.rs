//! Takes from its host whatever it can get, as `raw/src/bin/hostile.rs` does, and in ways that only WASI 0.3 has:
//!
//! | words | what is done |
//! |---|---|
//! | `streams` | makes streams for ever |
//! | `futures` | makes futures for ever |
//! | `tasks` | begins calls for ever that take an hour |
//! | `writes` | hands streams to standard error for ever, and writes into none |
//! | `yield` | computes for ever, and lets others have a turn each time |
//! | `listings FOLDER`, `random BYTES`, `fields`, `field`, `methods` | as with 0.2 |
//! | `churn N` | makes N resources of several kinds, and drops each |

use guest_parts::hostile;
use p3_guests::body::End;
use p3_guests::fail;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use wasip3::clocks::monotonic_clock::wait_for;
use wasip3::filesystem::preopens::get_directories;
use wasip3::http::types::{Fields, Method, Request};
use wasip3::random::random::get_random_bytes;
use wasip3::wit_bindgen::rt::async_support::{FutureReader, FutureWriter, yield_async};
use wasip3::{wit_future, wit_stream};

struct Hostile;

impl wasip3::exports::cli::run::Guest for Hostile {
    async fn run() -> Result<(), ()> {
        let words = hostile::words();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let told = match hostile::ordinary(&words) {
            Some(told) => told,
            None => beyond(&words).await?,
        };
        println!("{told}");
        Ok(())
    }
}

async fn beyond(words: &[&str]) -> Result<String, ()> {
    let number = |text: &str| text.parse::<u64>().expect("a number");
    Ok(match words {
        ["streams"] => hoard(|| Some(wit_stream::new::<u8>())),
        ["futures"] => hoard(|| Some(future())),
        ["tasks"] => hoard(|| {
            let mut waiting: Pin<Box<dyn Future<Output = ()>>> = Box::pin(wait_for(3_600_000_000_000));
            // Begun by the first look.
            let looked = waiting.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            matches!(looked, Poll::Pending).then_some(waiting)
        }),
        ["writes"] => hoard(|| {
            let (writer, reader) = wit_stream::new::<u8>();
            Some((writer, wasip3::cli::stderr::write_via_stream(reader)))
        }),
        ["yield"] => loop {
            yield_async().await;
        },
        ["churn", times] => churn(number(times)).await,
        ["listings", folder] => listings(folder).await,
        ["random", bytes] => format!("{} bytes", get_random_bytes(number(bytes)).len()),
        ["fields"] => hoard(|| Fields::from_list(&[("cookie".to_owned(), vec![b'x'; 100_000])]).ok()),
        ["field"] => {
            let fields = Fields::new();
            let name = |number: usize| format!("x-{number}");
            let refused = (0..).find_map(|number: usize| fields.append(&name(number), &[b'x'; 1000]).err());
            format!("then {refused:?}")
        }
        ["methods"] => {
            let method = Method::Other("M".repeat(1 << 20));
            hoard(|| {
                let request = request();
                request.set_method(&method).ok().map(|()| request)
            })
        }
        _ => return fail("see the head of the source for the words"),
    })
}

/// Keeps what is made until nothing more is.
fn hoard<T>(make: impl FnMut() -> Option<T>) -> String {
    let all: Vec<T> = std::iter::from_fn(make).collect();
    format!("{} times", all.len())
}

fn future() -> (FutureWriter<End>, FutureReader<End>) {
    wit_future::new(|| Ok(None))
}

fn request() -> Request {
    let (_end, ended) = future();
    Request::new(Fields::new(), None, ended, None).0
}

async fn churn(times: u64) -> String {
    for _ in 0..times {
        drop(wit_stream::new::<u8>());
        // A future that nobody wrote to is written a last word, by a task that needs its turn.
        drop(future());
        yield_async().await;
        drop(request());
        yield_async().await;
    }
    "done".to_owned()
}

async fn listings(folder: &str) -> String {
    let (root, _) = get_directories().into_iter().find(|(_, name)| name == folder).expect("the folder");
    let mut all = Vec::new();
    loop {
        let (mut entries, ended) = root.read_directory();
        // One entry, so that it is known whether there is any.
        match entries.next().await {
            Some(_) => all.push((entries, ended)),
            None => return format!("{} listings, then {:?}", all.len(), ended.await),
        }
    }
}

wasip3::cli::command::export!(Hostile);
