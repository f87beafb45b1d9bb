//! Understands the head of a request.

use crate::answer::Status;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Head,
}

/// What was asked for.
pub(crate) struct Asked {
    pub(crate) method: Method,
    /// Below the folder: without a slash at its begin.
    pub(crate) path: String,
}

/// Reads the first line; the others are not needed, only that they came.
pub(crate) fn parse(head: &[u8]) -> Result<Asked, Status> {
    if !(head.ends_with(b"\n\r\n") || head.ends_with(b"\n\n")) {
        return Err(Status::BadRequest);
    }
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = std::str::from_utf8(line).map_err(|_| Status::BadRequest)?;
    let words: Vec<&str> = line.trim_end_matches('\r').split(' ').collect();
    let [method, target, "HTTP/1.0" | "HTTP/1.1"] = words.as_slice() else {
        return Err(Status::BadRequest);
    };
    let method = match *method {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        _ => return Err(Status::NotImplemented),
    };
    let target = target.split(['?', '#']).next().unwrap_or_default();
    let path = target.strip_prefix('/').ok_or(Status::BadRequest)?;
    let path = decode(path).ok_or(Status::BadRequest)?;
    if path.split('/').any(|part| part == "..") {
        return Err(Status::Forbidden);
    }
    if path.starts_with('/') || path.contains('\0') {
        return Err(Status::BadRequest);
    }
    Ok(Asked { method, path })
}

/// Undoes `%20` and its like.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
            bytes.push(high * 16 + low);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

fn digit(byte: u8) -> Option<u8> {
    let value = char::from(byte).to_digit(16)?;
    u8::try_from(value).ok()
}
