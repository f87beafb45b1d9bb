//! The same in HTTP/2, and what only HTTP/2 has: streams, windows, pings, resets.

use super::support::{
    Answered, AnyBody, Client, Door, Tell, alone, collect, data, endless, nothing, ok, on_paused_clock, pieces,
    piecewise, whole,
};
use crate::{AccessRecord, Failure, Limits, Outcome, RequestBody, RequestInfo};
use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{Reason, SendStream};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body::Frame;
use http_body_util::BodyExt;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// A client with its connection, which goes on while this lives.
struct Http2 {
    requests: SendRequest<Bytes>,
    connection: JoinSet<Result<(), h2::Error>>,
}

impl Http2 {
    async fn over(client: Client, builder: &Builder) -> Self {
        let (requests, connection) = builder.handshake(client.stream).await.expect("the server speaks HTTP/2");
        let mut task = JoinSet::new();
        task.spawn(connection);
        Self { requests, connection: task }
    }

    async fn new(client: Client) -> Self {
        Self::over(client, &Builder::new()).await
    }

    async fn begin(&mut self, request: Request<()>, ends: bool) -> (ResponseFuture, SendStream<Bytes>) {
        let mut requests = self.requests.clone().ready().await.expect("the connection goes on");
        requests.send_request(request, ends).expect("it can be sent")
    }

    /// A request without a body, and the whole answer.
    async fn ask(&mut self, request: Request<()>) -> Result<Whole, h2::Error> {
        let (response, _) = self.begin(request, true).await;
        Whole::of(response).await
    }

    /// How the connection ended.
    async fn ended(&mut self) -> Result<(), h2::Error> {
        self.connection.join_next().await.expect("it is told once").expect("nothing panicked")
    }
}

/// A whole answer.
struct Whole {
    head: Response<()>,
    body: Vec<u8>,
    trailers: Option<HeaderMap>,
}

impl Whole {
    async fn of(response: ResponseFuture) -> Result<Self, h2::Error> {
        let (head, mut stream) = response.await?.into_parts();
        let mut body = Vec::new();
        while let Some(piece) = stream.data().await {
            let piece = piece?;
            stream.flow_control().release_capacity(piece.len()).expect("it was taken");
            body.extend(piece);
        }
        Ok(Self { head: Response::from_parts(head, ()), body, trailers: stream.trailers().await? })
    }

    fn status(&self) -> u16 {
        self.head.status().as_u16()
    }
}

/// Passes frames on, and holds something as long as the body is there.
fn holding(mut held: impl Send + 'static) -> impl FnMut(Frame<Bytes>) -> Frame<Bytes> + Send {
    move |frame| {
        let _ = &mut held;
        frame
    }
}

fn get(path: &str) -> Request<()> {
    Request::builder().version(Version::HTTP_2).uri(format!("http://example.com{path}")).body(()).expect("a request")
}

fn with_method(method: Method, path: &str) -> Request<()> {
    let mut request = get(path);
    *request.method_mut() = method;
    request
}

#[test]
fn requests_answers_and_trailers_go_through() {
    on_paused_clock(async {
        let mut door = Door::new(async |request: Request<RequestBody>, info: RequestInfo| {
            assert_eq!(request.version(), Version::HTTP_2);
            assert_eq!(request.headers()["host"], "example.com");
            let uri = request.uri().clone();
            let body = request.into_body().collect().await.expect("the body is whole");
            let trailers = body.trailers().cloned().expect("there are trailers");
            assert_eq!(trailers["x-sum"], "1");
            let text = format!("{uri} {} {}", info.scheme.as_str(), String::from_utf8_lossy(&body.to_bytes()));
            let mut own = HeaderMap::new();
            own.insert("x-own", HeaderValue::from_static("2"));
            own.insert("content-length", HeaderValue::from_static("3"));
            ok(pieces([data(text), Ok(Frame::trailers(own))]))
        });
        let mut client = Http2::new(door.connect()).await;
        let (response, mut stream) = client.begin(with_method(Method::POST, "/a?b"), false).await;
        stream.send_data("abc".into(), false).expect("there is room");
        stream.send_data("def".into(), false).expect("there is room");
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", HeaderValue::from_static("1"));
        stream.send_trailers(trailers).expect("there is room");
        let answer = Whole::of(response).await.expect("the answer is whole");
        assert_eq!(answer.body, b"http://example.com/a?b http abcdef");
        let trailers = answer.trailers.expect("there are trailers");
        assert_eq!((trailers.len(), &trailers["x-own"]), (1, &HeaderValue::from_static("2")));
        let records = door.records();
        let line = records[0].line.as_ref().expect("it was understood");
        assert_eq!((line.target.as_str(), line.version, records[0].sent_bytes), ("/a?b", Version::HTTP_2, 34));
        assert_eq!(records[0].outcome, Outcome::Complete);
    });
}

#[test]
fn an_answer_has_what_http_allows() {
    on_paused_clock(async {
        fn with(status: StatusCode, body: AnyBody) -> Answered {
            let mut response = Response::new(body);
            *response.status_mut() = status;
            for (name, value) in [
                ("connection", "close, x-hop"),
                ("x-hop", "1"),
                ("keep-alive", "timeout=1"),
                ("transfer-encoding", "chunked"),
                ("upgrade", "h2c"),
                ("te", "trailers"),
            ] {
                response.headers_mut().insert(name, HeaderValue::from_static(value));
            }
            Ok(response)
        }
        let mut door = Door::new(async |request: Request<RequestBody>, _| match request.uri().path() {
            "/204" => with(StatusCode::NO_CONTENT, whole("abc")),
            "/304" => with(StatusCode::NOT_MODIFIED, whole("abc")),
            "/100" => with(StatusCode::CONTINUE, nothing()),
            "/500" => Err(Failure::Broken),
            _ => with(StatusCode::OK, whole("abc")),
        });
        let mut client = Http2::new(door.connect()).await;
        for (method, path, status, length, body) in [
            (Method::HEAD, "/", 200, Some("3"), ""),
            (Method::GET, "/", 200, Some("3"), "abc"),
            (Method::GET, "/204", 204, None, ""),
            (Method::GET, "/304", 304, None, ""),
            (Method::GET, "/100", 500, Some("26"), "500 Internal Server Error\n"),
            (Method::GET, "/500", 500, Some("26"), "500 Internal Server Error\n"),
            (Method::HEAD, "/500", 500, Some("26"), ""),
        ] {
            let answer = client.ask(with_method(method.clone(), path)).await.expect("the answer is whole");
            let fields = answer.head.headers();
            let said = fields.get("content-length").map(|value| value.to_str().expect("a number"));
            assert_eq!((answer.status(), said), (status, length), "{method} {path}");
            assert_eq!(String::from_utf8_lossy(&answer.body), body, "{method} {path}");
            for name in ["connection", "x-hop", "keep-alive", "transfer-encoding", "upgrade", "te"] {
                assert_eq!(fields.get(name), None, "{method} {path}");
            }
            assert!(fields.contains_key("date") && fields.contains_key("x-request-id"), "{method} {path}");
        }
    });
}

#[test]
fn what_is_refused_is_refused_with_the_same_status() {
    on_paused_clock(async {
        let limits = Limits { head_bytes: 4000, head_fields: 5, target_bytes: 100, ..Limits::default() };
        let mut door = Door::with(limits, None, async |_, _| ok(nothing()));
        let mut client = Http2::new(door.connect()).await;
        let field = |name: &'static str, value: &str| {
            let mut request = get("/");
            request.headers_mut().insert(name, value.parse().expect("a value"));
            request
        };
        let many = || {
            let mut request = get("/");
            for _ in 0..6 {
                request.headers_mut().append("x", HeaderValue::from_static("1"));
            }
            request
        };
        let connect = || {
            let mut request = with_method(Method::CONNECT, "/");
            *request.uri_mut() = "example.com:80".parse().expect("an authority");
            request
        };
        for (status, request) in [
            (200, field("host", "example.com")),
            (400, field("host", "other.example.com")),
            (400, field("host", "a b")),
            (414, get(&format!("/{}", "x".repeat(100)))),
            (431, field("x", &"x".repeat(5000))),
            (431, many()),
            (501, connect()),
            (200, get("/")),
        ] {
            let what = format!("{request:?}");
            let answer = client.ask(request).await;
            assert_eq!(answer.expect("it is answered").status(), status, "{what}");
        }
    });
}

#[test]
fn a_body_that_fails_resets_its_stream_and_no_other() {
    on_paused_clock(async {
        let mut door = Door::new(async |request: Request<RequestBody>, _| match request.uri().path() {
            "/fails" => ok(pieces([data("abc"), Err("a secret".into())])),
            "/short" => {
                let mut response = Response::new(pieces([data("abc")]));
                response.headers_mut().insert("content-length", HeaderValue::from_static("9"));
                Ok(response)
            }
            _ => ok(whole("abc")),
        });
        let mut client = Http2::new(door.connect()).await;
        for path in ["/fails", "/short"] {
            let error = client.ask(get(path)).await.err().expect("it fails");
            assert!(error.is_reset() && error.is_remote(), "{error:?}");
            assert_eq!(door.records()[0].outcome, Outcome::Failed);
        }
        assert_eq!(client.ask(get("/")).await.expect("the connection goes on").body, b"abc");
    });
}

#[test]
fn a_stream_that_is_reset_ends_its_handler_and_its_body() {
    on_paused_clock(async {
        let dropped = Arc::new(Notify::new());
        let mut door = {
            let dropped = Arc::clone(&dropped);
            Door::new(move |request: Request<RequestBody>, _| {
                let tell = Tell(Arc::clone(&dropped));
                async move {
                    if request.uri().path() == "/body" {
                        let (sender, body) = piecewise();
                        sender.send(data("abc")).expect("the body is there");
                        return ok(body.map_frame(holding((sender, tell))).boxed_unsync());
                    }
                    let _tell = tell;
                    pending().await
                }
            })
        };
        let mut client = Http2::new(door.connect()).await;
        for (path, status) in [("/", AccessRecord::CLIENT_GONE), ("/body", 200)] {
            let (response, mut stream) = client.begin(get(path), false).await;
            let response = if path == "/body" { Some(response.await.expect("there is a head")) } else { None };
            sleep(Duration::from_secs(1)).await;
            stream.send_reset(Reason::CANCEL);
            dropped.notified().await;
            drop(response);
            sleep(Duration::from_secs(1)).await;
            let records = door.records();
            assert_eq!((records[0].status, records[0].outcome), (status, Outcome::BrokenOff), "{path}");
        }
    });
}

#[test]
fn a_connection_that_is_gone_ends_all_handlers() {
    alone(async {
        let (started, dropped) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let mut door = {
            let (started, dropped) = (Arc::clone(&started), Arc::clone(&dropped));
            Door::new(move |_, _| {
                let tell = Tell(Arc::clone(&dropped));
                started.notify_one();
                async move {
                    let _tell = tell;
                    pending().await
                }
            })
        };
        let mut client = Http2::new(door.connect()).await;
        let _first = client.begin(get("/"), true).await;
        started.notified().await;
        let _second = client.begin(get("/"), true).await;
        started.notified().await;
        drop(client);
        dropped.notified().await;
        let records = door.ended().await;
        assert_eq!(records.iter().map(|record| record.status).collect::<Vec<_>>(), [AccessRecord::CLIENT_GONE; 2]);
    });
}

#[test]
fn an_unread_body_costs_only_its_own_stream() {
    on_paused_clock(async {
        let mut door = Door::new(async |_, _| ok(whole("no more")));
        let mut client = Http2::new(door.connect()).await;
        let (response, mut stream) = client.begin(with_method(Method::POST, "/"), false).await;
        stream.send_data(vec![b'x'; 10_000].into(), false).expect("there is room");
        assert_eq!(Whole::of(response).await.expect("the answer is whole").body, b"no more");
        let reason = std::future::poll_fn(|cx| stream.poll_reset(cx)).await.expect("it is told to stop");
        assert_eq!(reason, Reason::NO_ERROR);
        assert_eq!(client.ask(get("/")).await.expect("the connection goes on").body, b"no more");
    });
}

#[test]
fn what_nobody_reads_stays_with_the_client() {
    on_paused_clock(async {
        let read = Arc::new(Notify::new());
        let mut door = {
            let read = Arc::clone(&read);
            Door::new(move |mut request: Request<RequestBody>, _| {
                let read = Arc::clone(&read);
                async move {
                    read.notified().await;
                    let length = collect(request.body_mut()).await.expect("the body is whole").len();
                    ok(whole(length.to_string()))
                }
            })
        };
        let mut client = Http2::new(door.connect()).await;
        let (response, mut stream) = client.begin(with_method(Method::POST, "/"), false).await;
        const LENGTH: usize = 20 << 20;
        let mut sent = 0;
        let mut is_read = false;
        while sent < LENGTH {
            stream.reserve_capacity(LENGTH - sent);
            let capacity = std::future::poll_fn(|cx| stream.poll_capacity(cx));
            match tokio::time::timeout(Duration::from_secs(5), capacity).await {
                Ok(room) => {
                    let room = room.expect("the stream goes on").expect("the stream goes on");
                    sent += room;
                    stream.send_data(vec![b'x'; room].into(), sent == LENGTH).expect("there is room");
                }
                Err(_) if is_read => panic!("the window stays shut after {sent} bytes"),
                Err(_) => {
                    assert!(sent <= 1 << 20, "{sent} bytes were taken though nobody read");
                    is_read = true;
                    read.notify_one();
                }
            }
        }
        assert!(is_read);
        assert_eq!(Whole::of(response).await.expect("the answer is whole").body, LENGTH.to_string().as_bytes());
    });
}

#[test]
fn a_body_that_does_not_come_is_408() {
    on_paused_clock(async {
        let limits = Limits { body_idle_time: Duration::from_secs(3), ..Limits::default() };
        let mut door = Door::with(limits, None, async |mut request: Request<RequestBody>, _| {
            match collect(request.body_mut()).await {
                Ok(bytes) => ok(whole(bytes)),
                Err(_) => Err(Failure::Broken),
            }
        });
        let mut client = Http2::new(door.connect()).await;
        let (response, _stream) = client.begin(with_method(Method::POST, "/"), false).await;
        let start = Instant::now();
        let answer = Whole::of(response).await.expect("the answer is whole");
        assert_eq!((answer.status(), answer.body.as_slice()), (408, b"408 Request Timeout\n".as_slice()));
        assert!((3..5).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
        assert_eq!(answer.head.headers().get("connection"), None);
    });
}

#[test]
fn streams_are_bounded_and_served_side_by_side() {
    on_paused_clock(async {
        let limits = Limits { streams: 7, ..Limits::default() };
        let mut door = Door::with(limits, None, async |_, _| {
            sleep(Duration::from_secs(1)).await;
            ok(whole("abc"))
        });
        let mut client = Http2::new(door.connect()).await;
        let start = Instant::now();
        assert_eq!(client.ask(get("/")).await.expect("it is answered").body, b"abc");
        assert_eq!(client.requests.current_max_send_streams(), 7);
        let mut answers = JoinSet::new();
        for _ in 0..7 {
            let (response, _) = client.begin(get("/"), true).await;
            answers.spawn(Whole::of(response));
        }
        while let Some(answer) = answers.join_next().await {
            assert_eq!(answer.expect("nothing panicked").expect("it is answered").body, b"abc");
        }
        assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    });
}

#[test]
fn a_flood_of_resets_ends_the_connection() {
    alone(async {
        let mut door = Door::new(async |_, _| pending().await);
        let mut client = Http2::over(door.connect(), Builder::new().max_concurrent_reset_streams(10_000)).await;
        for _ in 0..20_000 {
            let Ok(mut requests) = client.requests.clone().ready().await else { break };
            let Ok((_, mut stream)) = requests.send_request(get("/"), false) else { break };
            stream.send_reset(Reason::CANCEL);
        }
        // By the server, and perhaps so fast that its reason is lost: this client would go on.
        let ended = client.ended().await.expect_err("it ends");
        assert!(ended.reason().is_none_or(|reason| reason == Reason::ENHANCE_YOUR_CALM), "{ended:?}");
        let taken = door.ended().await.len();
        assert!(taken < 1000, "{taken} requests were taken");
    });
}

/// What a client of HTTP/2 says first, and settings without anything.
const HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

#[test]
fn a_client_that_answers_no_ping_is_gone() {
    on_paused_clock(async {
        let limits = Limits {
            ping_interval: Duration::from_secs(7),
            ping_time: Duration::from_secs(3),
            idle_time: Duration::from_secs(1000),
            ..Limits::default()
        };
        let mut door = Door::with(limits, None, async |_, _| ok(nothing()));
        let mut client = door.connect();
        client.send(HELLO).await;
        let start = Instant::now();
        let mut said = Vec::new();
        client.stream.read_to_end(&mut said).await.expect("it ends well");
        door.ended().await;
        assert!((10..14).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    });
}

#[test]
fn a_connection_without_requests_is_told_to_go() {
    on_paused_clock(async {
        let limits = Limits { idle_time: Duration::from_secs(50), ..Limits::default() };
        let mut door = Door::with(limits, None, async |_, _| {
            sleep(Duration::from_secs(200)).await;
            ok(whole("abc"))
        });
        let mut client = Http2::new(door.connect()).await;
        // However long an answer takes, and however alive the client is otherwise.
        assert_eq!(client.ask(get("/")).await.expect("it is answered").body, b"abc");
        let start = Instant::now();
        client.ended().await.expect("it ends well");
        door.ended().await;
        assert!((50..54).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    });
}

#[test]
fn a_client_that_does_not_go_is_left() {
    on_paused_clock(async {
        let limits = Limits {
            idle_time: Duration::from_secs(50),
            linger_time: Duration::from_secs(3),
            ping_interval: Duration::from_secs(1000),
            ..Limits::default()
        };
        let mut door = Door::with(limits, None, async |_, _| ok(nothing()));
        let mut client = door.connect();
        let start = Instant::now();
        client.send(HELLO).await;
        door.ended().await;
        assert!((53..57).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    });
}

const IMPATIENT: fn() -> Limits =
    || Limits { write_idle_time: Duration::from_secs(10), idle_time: Duration::from_secs(1000), ..Limits::default() };

#[test]
fn a_stream_that_takes_nothing_is_reset_and_the_others_go_on() {
    on_paused_clock(async {
        const PIECE: &[u8] = &[b'x'; 1000];
        let dropped = Arc::new(Notify::new());
        let mut door = {
            let dropped = Arc::clone(&dropped);
            Door::with(IMPATIENT(), None, move |request: Request<RequestBody>, _| {
                let dropped = Arc::clone(&dropped);
                async move {
                    match request.uri().path() {
                        "/endless" => ok(endless(PIECE).map_frame(holding(Tell(dropped))).boxed_unsync()),
                        _ => ok(whole("abc")),
                    }
                }
            })
        };
        let mut client = Http2::over(door.connect(), Builder::new().initial_window_size(5000)).await;
        let (response, _stream) = client.begin(get("/endless"), true).await;
        let response = response.await.expect("there is a head");
        let start = Instant::now();
        let mut is_reset = Box::pin(dropped.notified());
        loop {
            tokio::select! {
                () = &mut is_reset => break,
                () = sleep(Duration::from_secs(1)) => {}
            }
            assert_eq!(client.ask(get("/")).await.expect("the others go on").body, b"abc");
            assert!(start.elapsed() < Duration::from_secs(40));
        }
        assert!((9..24).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
        let mut body = response.into_body();
        let error = loop {
            match body.data().await.expect("it is not the end") {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(error.reason(), Some(Reason::CANCEL));
        assert_eq!(client.ask(get("/")).await.expect("the others go on").body, b"abc");
        let records = door.records();
        let endless = records.iter().find(|record| record.sent_bytes == 5000).expect("what the window held was sent");
        assert_eq!(endless.outcome, Outcome::BrokenOff);
    });
}

#[test]
fn a_stream_that_takes_a_little_now_and_then_is_waited_for() {
    on_paused_clock(async {
        const PIECE: &[u8] = &[b'x'; 1000];
        let mut door = Door::with(IMPATIENT(), None, async |_, _| ok(endless(PIECE)));
        let mut client = Http2::over(door.connect(), Builder::new().initial_window_size(1000)).await;
        let (response, _stream) = client.begin(get("/"), true).await;
        let mut body = response.await.expect("there is a head").into_body();
        for _ in 0..50 {
            let piece = body.data().await.expect("it goes on").expect("it goes on");
            sleep(Duration::from_secs(7)).await;
            body.flow_control().release_capacity(piece.len()).expect("it was taken");
        }
    });
}

#[test]
fn an_answer_whose_last_part_nobody_takes_ends_the_connection() {
    on_paused_clock(async {
        // The handler is long done with it.
        let mut door = Door::with(IMPATIENT(), None, async |_, _| ok(whole(vec![b'x'; 9000])));
        let mut client = Http2::over(door.connect(), Builder::new().initial_window_size(5000)).await;
        let (response, _stream) = client.begin(get("/"), true).await;
        let _response = response.await.expect("there is a head");
        let start = Instant::now();
        let records = door.ended().await;
        assert!((9..24).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
        assert_eq!((records[0].sent_bytes, records[0].outcome), (5000, Outcome::BrokenOff));
    });
}

#[test]
fn a_client_that_reads_nothing_at_all_is_left() {
    on_paused_clock(async {
        const PIECE: &[u8] = &[b'x'; 50_000];
        let limits = Limits { ping_interval: Duration::from_secs(1000), ..IMPATIENT() };
        let mut door = Door::with(limits, None, async |_, _| ok(endless(PIECE)));
        let mut client = door.connect();
        // The windows are as large as can be, so that it is the socket alone that is full.
        client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x06\x04\0\0\0\0\0\0\x04\x7f\xff\xff\xff").await;
        client.send(b"\0\0\x04\x08\0\0\0\0\0\x7f\0\0\0").await;
        // HEADERS of stream 1, ended: GET, http, /, and the authority "a".
        client.send(b"\0\0\x06\x01\x05\0\0\0\x01\x82\x86\x84\x41\x01a").await;
        let start = Instant::now();
        let records = door.ended().await;
        assert!((9..24).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
        assert_eq!((records[0].status, records[0].outcome), (200, Outcome::BrokenOff));
        assert!(records[0].sent_bytes > 50_000);
    });
}

#[test]
fn a_server_that_stops_answers_what_is_under_way() {
    on_paused_clock(async {
        let started = Arc::new(Notify::new());
        let mut door = {
            let started = Arc::clone(&started);
            Door::new(move |_, _| {
                started.notify_one();
                async move {
                    sleep(Duration::from_secs(30)).await;
                    ok(whole("abc"))
                }
            })
        };
        let mut client = Http2::new(door.connect()).await;
        let (response, _stream) = client.begin(get("/"), true).await;
        started.notified().await;
        door.drain();
        assert_eq!(Whole::of(response).await.expect("it is answered").body, b"abc");
        client.ended().await.expect("it ends well");
        assert_eq!(door.ended().await[0].outcome, Outcome::Complete);
    });
}

#[test]
fn a_server_that_stops_sends_an_idle_client_away_at_once() {
    on_paused_clock(async {
        let mut door = Door::new(async |_, _| ok(whole("abc")));
        let mut client = Http2::new(door.connect()).await;
        assert_eq!(client.ask(get("/")).await.expect("it is answered").body, b"abc");
        let start = Instant::now();
        door.drain();
        client.ended().await.expect("it ends well");
        door.ended().await;
        assert!(start.elapsed() < Duration::from_millis(100), "{:?}", start.elapsed());
        // One that just came may still ask.
        let mut late = Http2::new(door.connect()).await;
        assert_eq!(late.ask(get("/")).await.expect("it is answered").body, b"abc");
        late.ended().await.expect("it ends well");
        door.ended().await;
    });
}

#[test]
fn ids_are_kept_or_made() {
    on_paused_clock(async {
        let mut door = Door::new(async |_, info: RequestInfo| ok(whole(info.id.to_string())));
        let mut client = Http2::new(door.connect()).await;
        let mut request = get("/");
        request.headers_mut().insert("x-request-id", HeaderValue::from_static("given"));
        let answer = client.ask(request).await.expect("it is answered");
        assert_eq!(
            (answer.body.as_slice(), &answer.head.headers()["x-request-id"]),
            (b"given".as_slice(), &HeaderValue::from_static("given"))
        );
        let answer = client.ask(get("/")).await.expect("it is answered");
        assert_eq!(answer.head.headers()["x-request-id"].as_bytes(), answer.body);
        assert_eq!(answer.body.len(), 32);
    });
}
