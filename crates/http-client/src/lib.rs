//! HTTP requests over connections that others make: TLS, a pool, time limits.
