//! What is kept of a request when it is over, and the two ways to write it in one line.
//!
//! A line is plain ASCII without control characters, whatever a client sent: nobody can write a line of a log but this
//! module.

use crate::clock::Moment;
use crate::request_id::RequestId;
use serde::Serialize;
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

/// Takes the record of each request when it is over.
///
/// There is one for each request whose head was understood, however it ended, and in HTTP/1 one for each head that was not
/// and was answered all the same (400, 408, 431). It is called on the task of the connection: it must not block for long.
pub trait AccessLog: Send + Sync + 'static {
    /// Takes one record.
    fn record(&self, record: AccessRecord);
}

/// One request that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRecord {
    /// When its head was read.
    pub when: SystemTime,
    /// Who asked.
    pub client: SocketAddr,
    /// Its id, as the client was told (but for 400 and 431 to a head that was not understood: those answers are the
    /// library's and have no id).
    pub id: RequestId,
    /// What was asked; `None` if that was not understood.
    pub line: Option<RequestLine>,
    /// The status that was sent; [`AccessRecord::CLIENT_GONE`] if none was.
    pub status: u16,
    /// How many bytes of the answer's body were sent, without the framing around them.
    pub sent_bytes: u64,
    /// From the head of the request to the end of the answer.
    pub duration: Duration,
    /// The field `user-agent`. What is not UTF-8 in it is replaced.
    pub user_agent: Option<String>,
    /// The field `referer`. What is not UTF-8 in it is replaced.
    pub referer: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
}

/// The first line of a request, or what stands for it in HTTP/2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestLine {
    /// The method.
    pub method: http::Method,
    /// The target as the client sent it; in HTTP/2 the path.
    pub target: String,
    /// The version.
    pub version: http::Version,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The whole answer was sent.
    Complete,
    /// The handler failed after the head of its answer was sent, and the client could see that.
    Failed,
    /// It was broken off before the answer was sent: the client went away, or took nothing for too long, or the connection
    /// was ended.
    BrokenOff,
}

impl AccessRecord {
    /// The status of a request that ended before its answer began. Nothing in HTTP has it; other servers write the same.
    pub const CLIENT_GONE: u16 = 499;

    /// Whether the client did not get the whole answer for a reason that was not the handler's.
    pub fn is_broken_off(&self) -> bool {
        self.outcome == Outcome::BrokenOff
    }

    /// The line of the common log format of NCSA, without the line's end:
    /// `127.0.0.1 - - [23/Nov/2026:06:17:39 +0000] "GET / HTTP/1.1" 200 12`.
    ///
    /// A request that was not understood is `"-"`, and no bytes are `-`. A quote and a backslash have a backslash before
    /// them; what is not printable ASCII is `\x` and two digits for each byte.
    pub fn common_log(&self) -> String {
        let mut line = String::new();
        let client = self.client.ip().to_canonical();
        let when = Moment::from(self.when).in_common_log();
        // Writing to a string cannot fail.
        let _ = write!(line, "{client} - - [{when}] \"");
        match &self.line {
            Some(RequestLine { method, target, version }) => {
                escape(&mut line, method.as_str());
                line.push(' ');
                escape(&mut line, target);
                let _ = write!(line, " {version:?}");
            }
            None => line.push('-'),
        }
        let _ = write!(line, "\" {} ", self.status);
        match self.sent_bytes {
            0 => line.push('-'),
            sent => {
                let _ = write!(line, "{sent}");
            }
        }
        line
    }

    /// A JSON object in one line, without the line's end. Whatever is not known is left out.
    #[expect(clippy::missing_panics_doc, reason = "nothing in it can fail to be written")]
    pub fn json(&self) -> String {
        let fields = JsonRecord {
            time: Moment::from(self.when).in_rfc3339().to_string(),
            client: self.client.ip().to_canonical(),
            client_port: self.client.port(),
            request_id: self.id.as_str(),
            method: self.line.as_ref().map(|line| line.method.as_str()),
            target: self.line.as_ref().map(|line| line.target.as_str()),
            version: self.line.as_ref().map(|line| format!("{:?}", line.version)),
            status: self.status,
            sent_bytes: self.sent_bytes,
            duration_microseconds: self.duration.as_micros(),
            user_agent: self.user_agent.as_deref(),
            referer: self.referer.as_deref(),
            outcome: self.outcome,
        };
        let json = serde_json::to_string(&fields).expect("it has neither maps nor fallible parts");
        plain_ascii(&json)
    }
}

#[derive(Serialize)]
struct JsonRecord<'a> {
    time: String,
    client: IpAddr,
    client_port: u16,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    status: u16,
    sent_bytes: u64,
    duration_microseconds: u128,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    referer: Option<&'a str>,
    outcome: Outcome,
}

/// Writes `text` so that it cannot end the quotes around it.
fn escape(line: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => line.extend(['\\', char::from(byte)]),
            b' '..=b'~' => line.push(char::from(byte)),
            _ => {
                let _ = write!(line, "\\x{byte:02x}");
            }
        }
    }
}

/// The same JSON with everything beyond printable ASCII escaped. In JSON such a character can only stand in a string.
fn plain_ascii(json: &str) -> String {
    if json.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return json.to_owned();
    }
    let mut plain = String::with_capacity(json.len() + 32);
    for character in json.chars() {
        if matches!(character, ' '..='~') {
            plain.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(plain, "\\u{unit:04x}");
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests;
