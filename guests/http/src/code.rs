//! Error codes as they are spelled in the interface, in small letters.

/// The spelling of an error code.
#[must_use]
pub fn name(code: &wasip2::http::types::ErrorCode) -> &'static str {
    use wasip2::http::types::ErrorCode as Code;
    match code {
        Code::DnsTimeout => "dns-timeout",
        Code::DnsError(_) => "dns-error",
        Code::DestinationNotFound => "destination-not-found",
        Code::DestinationUnavailable => "destination-unavailable",
        Code::DestinationIpProhibited => "destination-ip-prohibited",
        Code::DestinationIpUnroutable => "destination-ip-unroutable",
        Code::ConnectionRefused => "connection-refused",
        Code::ConnectionTerminated => "connection-terminated",
        Code::ConnectionTimeout => "connection-timeout",
        Code::ConnectionReadTimeout => "connection-read-timeout",
        Code::ConnectionWriteTimeout => "connection-write-timeout",
        Code::ConnectionLimitReached => "connection-limit-reached",
        Code::TlsProtocolError => "tls-protocol-error",
        Code::TlsCertificateError => "tls-certificate-error",
        Code::TlsAlertReceived(_) => "tls-alert-received",
        Code::HttpRequestDenied => "http-request-denied",
        Code::HttpRequestLengthRequired => "http-request-length-required",
        Code::HttpRequestBodySize(_) => "http-request-body-size",
        Code::HttpRequestMethodInvalid => "http-request-method-invalid",
        Code::HttpRequestUriInvalid => "http-request-uri-invalid",
        Code::HttpRequestUriTooLong => "http-request-uri-too-long",
        Code::HttpRequestHeaderSectionSize(_) => "http-request-header-section-size",
        Code::HttpRequestHeaderSize(_) => "http-request-header-size",
        Code::HttpRequestTrailerSectionSize(_) => "http-request-trailer-section-size",
        Code::HttpRequestTrailerSize(_) => "http-request-trailer-size",
        Code::HttpResponseIncomplete => "http-response-incomplete",
        Code::HttpResponseHeaderSectionSize(_) => "http-response-header-section-size",
        Code::HttpResponseHeaderSize(_) => "http-response-header-size",
        Code::HttpResponseBodySize(_) => "http-response-body-size",
        Code::HttpResponseTrailerSectionSize(_) => "http-response-trailer-section-size",
        Code::HttpResponseTrailerSize(_) => "http-response-trailer-size",
        Code::HttpResponseTransferCoding(_) => "http-response-transfer-coding",
        Code::HttpResponseContentCoding(_) => "http-response-content-coding",
        Code::HttpResponseTimeout => "http-response-timeout",
        Code::HttpUpgradeFailed => "http-upgrade-failed",
        Code::HttpProtocolError => "http-protocol-error",
        Code::LoopDetected => "loop-detected",
        Code::ConfigurationError => "configuration-error",
        Code::InternalError(_) => "internal-error",
    }
}
