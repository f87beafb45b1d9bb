//! End-to-end tests: real programs, a folder of its own for each test. What goes where:
//!
//! | module | about |
//! |---|---|
//! | `banner` | the program that started it all, in Rust, C and Python, against a real sshd |
//! | `refusals` | what is not granted: the hint, the guest's exit code, and that nothing goes out |
//! | `names` | connecting by name, and where a name may not lead |
//! | `rebinding` | names whose addresses change between two questions |
//! | `broker` | the process beside `cord run`: when there is one, and what its death breaks |
//! | `many` | hundreds of connections at once, and descriptors afterwards |
//! | `load` | ten thousand connections into one guest, and what is left of them |
//! | `escape` | what native code can do in a jailed runner, layer by layer: nothing |
//! | `jail` | what a process has left in its jail, and what is said where a layer is missing |
//! | `volumes` | ways out of a volume and into a read-only one, by calls on files |
//! | `limits` | a guest that takes whatever it gets, and that nothing else suffers |
//! | `hostile_guests` | guests that take from their host whatever they can get: what they are told, what it costs, and that others go on |
//! | `published` | guests that listen, reached through `--publish` |
//! | `published_udp` | datagrams into and out of guests |
//! | `lookups` | what a lookup answers, and how it fails |
//! | `net_tour` | the network of one guest, compared with wasmtime where that is installed |
//! | `sockets` | every call of `wasi:sockets` 0.2 |
//! | `p3_sockets` | every call of `wasi:sockets` 0.3, and its programs as clients |
//! | `p3_published` | programs on WASI 0.3: servers behind `cord run -p`, clients |
//! | `preview1` | the sockets of preview 1, and WasmEdge's calls on them |
//! | `preview1_open` | sockets that a guest of preview 1 finds open |
//! | `per_connection` | a fresh instance for each connection: what it gets, how it ends, and that nobody suffers |
//! | `crowd` | a thousand connections at once, a hundred instances at most |
//! | `serve` | HTTP requests, answered by guests: all versions, TLS, instances used again, the end |
//! | `serve_broken` | guests that fail under HTTP, and clients that do not do as they should |
//! | `serve_streams` | bodies of a gibibyte, and clients that are slow, with memory that stays as it is |
//! | `serve_load` | HTTP by wrk and h2load |
//! | `access_log` | what is told of each request |
//! | `fetch` | guests that ask HTTP servers themselves: grants, certificates, time limits |
//! | `outgoing` | the connections under those requests: which are shared, which are made again |
//! | `cli_flags` | the flags of `cord run`, exit codes, and which kinds of guest run |
//! | `bad_input` | what is wrong is told in one line, with the right exit code |
//! | `cache` | compiled code: reused when sound, made anew when not |
//! | `binary` | what is linked into the programs, and what is not |
//! | `flower` | the switchboard as Flower had it, through a handle |
//! | `beyond_flower` | the same, for what Flower never tested: list, watch, ingress, bad labels, crowds, grants |
//! | `hostile_runner` | a compromised runner: lies, floods, and what the others notice of it |
//! | `hostile_wire` | bytes that are no message |
//! | `switchboard_parts` | `cord switchboard`, `ingress`, `egress`, `resolver`, `cat`, `ls`, `watch` |
//!
//! A fixed bug gets a test named by its issue, in the module it belongs to.
#![forbid(unsafe_code)]
#![expect(clippy::panic, clippy::unwrap_used, reason = "a panic is how a test fails")]

mod access_log;
mod bad_input;
mod banner;
mod beyond_flower;
mod binary;
mod broker;
mod cache;
mod cli_flags;
mod crowd;
mod escape;
mod fetch;
mod flower;
mod hostile_guests;
mod hostile_runner;
mod hostile_wire;
mod jail;
mod limits;
mod load;
mod lookups;
mod many;
mod names;
mod net_tour;
mod outgoing;
mod p3_published;
mod p3_sockets;
mod per_connection;
mod preview1;
mod preview1_open;
mod published;
mod published_udp;
mod rebinding;
mod refusals;
mod serve;
mod serve_broken;
mod serve_load;
mod serve_streams;
mod sockets;
mod switchboard_parts;
mod volumes;
