//! Pages whose bodies come in pieces.

use guest_parts::checksum::{Checksum, pattern};
use guest_parts::query::Query;
use p3_guests::body::{self, response, streamed, text};
use wasip3::clocks::monotonic_clock::wait_for;
use wasip3::http::types::{ErrorCode, Fields, Request, Response};
use wasip3::spawn_local;
use wasip3::wit_bindgen::rt::async_support::StreamResult;

const CHUNK_BYTES: usize = 64 * 1024;
const CONTENT_TYPE: &str = "content-type";
const PLAIN: (&str, &str) = (CONTENT_TYPE, "text/plain");

fn content_type(request: &Request) -> String {
    let found = request.get_headers().get(CONTENT_TYPE).pop();
    found.map_or("application/octet-stream".to_string(), |value| String::from_utf8_lossy(&value).into_owned())
}

/// `/echo`: gives the stream of the request and its trailers to the response, without touching a byte.
pub(crate) fn echo(request: Request) -> Response {
    let content_type = content_type(&request);
    let (body, end) = body::of_request(request);
    response(200, &[(CONTENT_TYPE, &content_type)], body, end)
}

/// `/copy`: the same, but reads and writes every byte.
pub(crate) fn copy(request: Request) -> Response {
    let content_type = content_type(&request);
    let (mut body, end) = body::of_request(request);
    streamed(200, &[(CONTENT_TYPE, &content_type)], |mut writer| async move {
        loop {
            let (result, data) = body.read(Vec::with_capacity(CHUNK_BYTES)).await;
            let unsent = writer.write_all(data).await;
            if result == StreamResult::Dropped || !unsent.is_empty() {
                break;
            }
        }
        drop((body, writer));
        end.await
    })
}

/// `/sum`: reads the body as it comes, and answers its length and its checksum.
pub(crate) async fn sum(request: Request) -> Result<Response, ErrorCode> {
    let (mut body, end) = body::of_request(request);
    let (mut length, mut checksum) = (0, Checksum::default());
    let mut buffer = Vec::with_capacity(CHUNK_BYTES);
    loop {
        let (result, mut data) = body.read(buffer).await;
        length += data.len();
        checksum.add(&data);
        data.clear();
        buffer = data;
        if result == StreamResult::Dropped {
            break;
        }
    }
    drop(body);
    end.await?;
    Ok(text(200, format!("{length} {:016x}\n", checksum.value())))
}

/// `/big?bytes=N[&length=1]`: so many bytes of a pattern, with `length` announced beforehand.
pub(crate) fn big(query: &Query) -> Response {
    let total = query.number("bytes").unwrap_or_default();
    let announced = total.to_string();
    let mut headers = vec![(CONTENT_TYPE, "application/octet-stream")];
    if query.text("length").is_some() {
        headers.push(("content-length", &announced));
    }
    streamed(200, &headers, move |mut writer| async move {
        let mut begin = 0;
        while begin < total {
            let length = usize::try_from(total - begin).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
            if !writer.write_all(pattern(begin, length)).await.is_empty() {
                break;
            }
            begin += length as u64;
        }
        Ok(None)
    })
}

/// `/slow?ms=N&chunks=K`: so many lines with such pauses before each.
pub(crate) fn slow(query: Query) -> Response {
    streamed(200, &[PLAIN], move |mut writer| async move {
        for number in 1..=query.number("chunks").unwrap_or(1) {
            wait_for(nanoseconds(&query)).await;
            if !writer.write_all(format!("chunk {number}\n").into_bytes()).await.is_empty() {
                break;
            }
        }
        Ok(None)
    })
}

fn nanoseconds(query: &Query) -> u64 {
    query.number("ms").unwrap_or(100) * 1_000_000
}

/// `/trailers`: how many bytes came, in a trailer `x-length`, and behind it the trailers that came.
pub(crate) async fn trailers(request: Request) -> Result<Response, ErrorCode> {
    let (mut body, end) = body::of_request(request);
    let length = p3_guests::read_to_end(&mut body).await.len();
    drop(body);
    let trailers = end.await?.map_or_else(Fields::new, |came| came.clone());
    trailers.set("x-length", &[length.to_string().into_bytes()]).expect("a trailer that is allowed");
    let names: Vec<String> = trailers.copy_all().into_iter().map(|(name, _)| name).collect();
    Ok(streamed(200, &[PLAIN, ("trailer", &names.join(", "))], move |mut writer| async move {
        writer.write_all(b"see the trailers\n".to_vec()).await;
        Ok(Some(trailers))
    }))
}

/// `/bad-end`: some bytes, and then says that they are not all.
pub(crate) fn bad_end() -> Response {
    streamed(200, &[PLAIN], |mut writer| async move {
        writer.write_all(b"the begin of something\n".to_vec()).await;
        Err(ErrorCode::InternalError(Some("the inside of the guest".to_string())))
    })
}

/// `/after?ms=N`: answers at once, and so much later prints a line on standard error.
pub(crate) fn after(query: &Query) -> Response {
    let pause = nanoseconds(query);
    drop(spawn_local(async move {
        wait_for(pause).await;
        eprintln!("work after the response is done");
    }));
    text(200, "answered before the work is done\n")
}

/// `/trap-mid`: an answer that fails after its head and some of its body.
pub(crate) fn trap_in_the_middle() -> Response {
    streamed(200, &[PLAIN], |mut writer| async move {
        for number in 0..3 {
            writer.write_all(format!("chunk {number}\n").into_bytes()).await;
        }
        // So that what came before is on its way.
        wait_for(50_000_000).await;
        crate::stops::trap()
    })
}
