//! A site whose pages take from their host whatever they can get; one of them is good.
//!
//! | page | what it does |
//! |---|---|
//! | `/` | answers `good` |
//! | `/spin` | computes for ever |
//! | `/spin-in-the-middle` | the same, after the head of its answer |
//! | `/memory` | takes all memory |
//! | `/pollables` | makes pollables for ever |
//! | `/print` | prints lines for ever |
//! | `/headers` | answers with header fields for ever |
//! | `/trailers` | ends its answer with trailers for ever |
//! | `/body` | answers for ever |
//! | `/error` | fails with megabytes of words |
//! | `/nap` | does nothing, very often: waits for what is there already |

use guest_parts::hostile;
use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam, Trailers,
};

struct Site;

impl Guest for Site {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let target = request.path_with_query().unwrap_or_default();
        match target.as_str() {
            "/" => drop(answer(out, Fields::new(), b"good\n").map(|body| OutgoingBody::finish(body, None))),
            "/spin" => drop(hostile::ordinary(&["spin"])),
            "/spin-in-the-middle" => {
                let _body = answer(out, Fields::new(), b"first\n");
                let _ = hostile::ordinary(&["spin"]);
            }
            "/memory" => drop(hostile::ordinary(&["memory"])),
            "/print" => drop(hostile::ordinary(&["print", "stdout"])),
            "/pollables" => {
                let mut all = Vec::new();
                loop {
                    all.push(subscribe_duration(0));
                }
            }
            "/headers" => drop(answer(out, endless(), b"")),
            "/trailers" => {
                let Ok(body) = answer(out, Fields::new(), b"body\n") else { return };
                let trailers: Trailers = endless();
                let _ = OutgoingBody::finish(body, Some(trailers));
            }
            "/body" => {
                let Ok(body) = answer(out, Fields::new(), b"") else { return };
                let stream = body.write().expect("its stream");
                while stream.blocking_write_and_flush(&[b'x'; 4096]).is_ok() {}
            }
            "/error" => ResponseOutparam::set(out, Err(ErrorCode::InternalError(Some("\u{1b}[2J".repeat(1 << 20))))),
            "/nap" => loop {
                subscribe_duration(0).block();
            },
            _ => panic!("no such page"),
        }
    }
}

wasip2::http::proxy::export!(Site);

fn main() {
    eprintln!("this program answers HTTP requests and does nothing else");
}

/// Header fields, until no more are taken.
fn endless() -> Fields {
    let fields = Fields::new();
    for number in 0_u64.. {
        if fields.append(&format!("x-{number}"), &[b'x'; 100]).is_err() {
            break;
        }
    }
    fields
}

fn answer(out: ResponseOutparam, fields: Fields, text: &[u8]) -> Result<OutgoingBody, ()> {
    let response = OutgoingResponse::new(fields);
    let body = response.body()?;
    ResponseOutparam::set(out, Ok(response));
    if !text.is_empty() {
        let stream = body.write()?;
        // The client may have gone.
        let _ = stream.blocking_write_and_flush(text);
    }
    Ok(body)
}
