//! Finds in the errors of the libraries below what happened.

use std::error::Error;
use std::io;

use crate::connector::DialError;
use crate::error::{RequestError, TlsError};

/// How far the response had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It had not begun.
    Head,
    /// Its body was under way.
    Body,
}

/// What an error means. The outermost of the chain that means anything says it.
pub(crate) fn classify(error: &(dyn Error + 'static), phase: Phase) -> RequestError {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(meaning) = meaning(error, phase) {
            return meaning;
        }
        next = within(error);
    }
    RequestError::Protocol { reason: text(error) }
}

/// What one error of a chain means by itself.
fn meaning(error: &(dyn Error + 'static), phase: Phase) -> Option<RequestError> {
    if let Some(error) = error.downcast_ref::<DialError>() {
        return Some(match error {
            DialError::Connect(error) => error.clone().into(),
            DialError::Tls(error) => error.clone().into(),
            DialError::Lost => RequestError::ConnectionLost,
        });
    }
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return Some(TlsError::from(error).into());
    }
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        return of_hyper(error, phase);
    }
    if let Some(error) = error.downcast_ref::<h2::Error>() {
        return of_h2(error, phase);
    }
    of_io(error.downcast_ref::<io::Error>()?, phase)
}

fn of_hyper(error: &hyper::Error, phase: Phase) -> Option<RequestError> {
    if error.is_parse_too_large() {
        return Some(RequestError::HeadTooLarge);
    }
    if error.is_timeout() {
        // The one timer of hyper's that is set here: a connection of HTTP/2 that answers no ping.
        return Some(lost(phase));
    }
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        // Why the connection went may stand below.
        return error.source().and_then(|cause| deeper(cause, phase)).or(Some(lost(phase)));
    }
    None
}

fn deeper(cause: &(dyn Error + 'static), phase: Phase) -> Option<RequestError> {
    meaning(cause, phase).or_else(|| within(cause).and_then(|cause| deeper(cause, phase)))
}

fn of_h2(error: &h2::Error, phase: Phase) -> Option<RequestError> {
    if error.is_io() || error.is_remote() {
        // A server that resets a stream, or says good-bye, ends the response; it does not break the protocol.
        return error.get_io().and_then(|error| deeper(error, phase)).or(Some(lost(phase)));
    }
    None
}

fn of_io(error: &io::Error, phase: Phase) -> Option<RequestError> {
    if error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>() || inner.is::<io::Error>()) {
        return None;
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected
        | io::ErrorKind::TimedOut
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable => Some(lost(phase)),
        _ => None,
    }
}

fn lost(phase: Phase) -> RequestError {
    match phase {
        Phase::Head => RequestError::ConnectionLost,
        Phase::Body => RequestError::ResponseIncomplete,
    }
}

/// The next error of a chain; an I/O error names as its source that of the error inside, not the error itself.
fn within<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return error.get_ref().map(|inner| inner as &(dyn Error + 'static));
    }
    if let Some(error) = error.downcast_ref::<h2::Error>() {
        return error.get_io().map(|inner| inner as &(dyn Error + 'static));
    }
    error.source()
}

/// The chain in one line.
fn text(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = within(error);
    while let Some(error) = next {
        let cause = error.to_string();
        if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
        next = within(error);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_inside_an_io_error_is_found() {
        let alert = rustls::Error::AlertReceived(rustls::AlertDescription::CertificateRequired);
        let error = io::Error::new(io::ErrorKind::InvalidData, alert);
        let RequestError::Tls(TlsError::Alert { id: 116, message }) = classify(&error, Phase::Head) else {
            panic!("{:?}", classify(&error, Phase::Head))
        };
        assert_eq!(message, "CertificateRequired");
    }

    #[test]
    fn a_lost_connection_is_told_by_what_was_lost() {
        for kind in [io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe, io::ErrorKind::UnexpectedEof] {
            assert!(matches!(classify(&io::Error::from(kind), Phase::Head), RequestError::ConnectionLost));
            assert!(matches!(classify(&io::Error::from(kind), Phase::Body), RequestError::ResponseIncomplete));
        }
        let refused = h2::Error::from(h2::Reason::FRAME_SIZE_ERROR);
        assert!(matches!(classify(&refused, Phase::Body), RequestError::Protocol { .. }));
    }

    #[test]
    fn what_means_nothing_is_told_as_it_is() {
        let error = io::Error::other("odd");
        let RequestError::Protocol { reason } = classify(&error, Phase::Head) else { panic!("{error}") };
        assert_eq!(reason, "odd");
    }
}
