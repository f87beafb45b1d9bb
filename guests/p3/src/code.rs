//! Error codes as they are spelled in the interface.

use wasip3::http;
use wasip3::sockets::{ip_name_lookup, types};

/// An error code of one of the interfaces.
pub trait Code {
    /// Its spelling there.
    fn name(&self) -> &'static str;
}

impl Code for types::ErrorCode {
    fn name(&self) -> &'static str {
        match self {
            Self::AccessDenied => "access-denied",
            Self::NotSupported => "not-supported",
            Self::InvalidArgument => "invalid-argument",
            Self::OutOfMemory => "out-of-memory",
            Self::Timeout => "timeout",
            Self::InvalidState => "invalid-state",
            Self::AddressNotBindable => "address-not-bindable",
            Self::AddressInUse => "address-in-use",
            Self::RemoteUnreachable => "remote-unreachable",
            Self::ConnectionRefused => "connection-refused",
            Self::ConnectionBroken => "connection-broken",
            Self::ConnectionReset => "connection-reset",
            Self::ConnectionAborted => "connection-aborted",
            Self::DatagramTooLarge => "datagram-too-large",
            Self::Other(_) => "other",
        }
    }
}

impl Code for ip_name_lookup::ErrorCode {
    fn name(&self) -> &'static str {
        match self {
            Self::AccessDenied => "access-denied",
            Self::InvalidArgument => "invalid-argument",
            Self::NameUnresolvable => "name-unresolvable",
            Self::TemporaryResolverFailure => "temporary-resolver-failure",
            Self::PermanentResolverFailure => "permanent-resolver-failure",
            Self::Other(_) => "other",
        }
    }
}

/// In small letters.
impl Code for http::types::ErrorCode {
    fn name(&self) -> &'static str {
        match self {
            Self::DnsTimeout => "dns-timeout",
            Self::DnsError(_) => "dns-error",
            Self::DestinationNotFound => "destination-not-found",
            Self::DestinationUnavailable => "destination-unavailable",
            Self::DestinationIpProhibited => "destination-ip-prohibited",
            Self::DestinationIpUnroutable => "destination-ip-unroutable",
            Self::ConnectionRefused => "connection-refused",
            Self::ConnectionTerminated => "connection-terminated",
            Self::ConnectionTimeout => "connection-timeout",
            Self::ConnectionReadTimeout => "connection-read-timeout",
            Self::ConnectionWriteTimeout => "connection-write-timeout",
            Self::ConnectionLimitReached => "connection-limit-reached",
            Self::TlsProtocolError => "tls-protocol-error",
            Self::TlsCertificateError => "tls-certificate-error",
            Self::TlsAlertReceived(_) => "tls-alert-received",
            Self::HttpRequestDenied => "http-request-denied",
            Self::HttpRequestLengthRequired => "http-request-length-required",
            Self::HttpRequestBodySize(_) => "http-request-body-size",
            Self::HttpRequestMethodInvalid => "http-request-method-invalid",
            Self::HttpRequestUriInvalid => "http-request-uri-invalid",
            Self::HttpRequestUriTooLong => "http-request-uri-too-long",
            Self::HttpRequestHeaderSectionSize(_) => "http-request-header-section-size",
            Self::HttpRequestHeaderSize(_) => "http-request-header-size",
            Self::HttpRequestTrailerSectionSize(_) => "http-request-trailer-section-size",
            Self::HttpRequestTrailerSize(_) => "http-request-trailer-size",
            Self::HttpResponseIncomplete => "http-response-incomplete",
            Self::HttpResponseHeaderSectionSize(_) => "http-response-header-section-size",
            Self::HttpResponseHeaderSize(_) => "http-response-header-size",
            Self::HttpResponseBodySize(_) => "http-response-body-size",
            Self::HttpResponseTrailerSectionSize(_) => "http-response-trailer-section-size",
            Self::HttpResponseTrailerSize(_) => "http-response-trailer-size",
            Self::HttpResponseTransferCoding(_) => "http-response-transfer-coding",
            Self::HttpResponseContentCoding(_) => "http-response-content-coding",
            Self::HttpResponseTimeout => "http-response-timeout",
            Self::HttpUpgradeFailed => "http-upgrade-failed",
            Self::HttpProtocolError => "http-protocol-error",
            Self::LoopDetected => "loop-detected",
            Self::ConfigurationError => "configuration-error",
            Self::InternalError(_) => "internal-error",
        }
    }
}
