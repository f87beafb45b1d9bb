//! HTTP connections that others accepted: TLS, limits, time limits, one record for each request.
