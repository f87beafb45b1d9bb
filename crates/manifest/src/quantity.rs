//! Sizes and durations as people type them.

use std::num::NonZeroU32;
use std::time::Duration;

/// More cores than any machine has.
const TOO_MANY_CORES: f64 = 1e6;

/// `64m`: a number and one of Docker's units (`b`, `k`, `m`, `g`; powers of 1024). No unit is bytes.
pub(crate) fn parse_bytes(typed: &str) -> Result<u64, String> {
    let lower = typed.trim().to_ascii_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &lower[digits.len()..] {
        "" | "b" => 1_u64,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        other => return Err(format!("{other:?} is no unit of size; use b, k, m or g, as in 64m")),
    };
    let Ok(number) = digits.parse::<u64>() else { return Err("a size is a number and a unit, as in 64m".to_owned()) };
    match number.checked_mul(unit) {
        Some(0) => Err("a size of 0 leaves nothing to run in".to_owned()),
        Some(bytes) => Ok(bytes),
        None => Err("that is more than any machine has".to_owned()),
    }
}

/// A size for each second, or 0 for no bound.
pub(crate) fn parse_rate(typed: &str) -> Result<u64, String> {
    if typed.trim() == "0" { Ok(0) } else { parse_bytes(typed) }
}

/// `0.5`, `2`: cores, in thousandths.
pub(crate) fn parse_cores(typed: &str) -> Result<NonZeroU32, String> {
    let cores = typed.parse::<f64>().ok().filter(|cores| (0.0..TOO_MANY_CORES).contains(cores));
    let Some(cores) = cores else { return Err("a number of cores looks like 2 or 0.5".to_owned()) };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    let thousandths = (cores * 1000.0).round() as u32;
    NonZeroU32::new(thousandths).ok_or_else(|| "less than 0.001 cores leaves nothing to run on".to_owned())
}

/// `1h30m`, `500ms`, or a number alone for seconds.
pub(crate) fn parse_duration(typed: &str) -> Result<Duration, String> {
    let seconds = || typed.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let duration = match seconds() {
        Some(duration) => duration,
        None => {
            humantime::parse_duration(typed).map_err(|error| format!("{error}; a duration looks like 30s or 1h30m"))?
        }
    };
    if duration.is_zero() { Err("a duration of 0 leaves no time to run in".to_owned()) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (typed, bytes) in [("1", 1), ("64m", 64 << 20), ("1G", 1 << 30), ("10kib", 10 << 10), ("512b", 512)] {
            assert_eq!(parse_bytes(typed), Ok(bytes), "{typed}");
        }
        for typed in ["", "m", "-1", "1.5g", "1t", "0", "99999999999g", "64 x"] {
            assert!(parse_bytes(typed).is_err(), "{typed}");
        }
    }

    #[test]
    fn rates_and_cores() {
        assert_eq!(parse_rate("0"), Ok(0));
        assert_eq!(parse_rate("2k"), Ok(2048));
        assert!(parse_rate("0m").is_err() && parse_rate("-1").is_err());
        for (typed, thousandths) in
            [("1", 1000), ("0.5", 500), ("1.5", 1500), (".25", 250), ("0.001", 1), ("64", 64_000)]
        {
            assert_eq!(parse_cores(typed).map(NonZeroU32::get), Ok(thousandths), "{typed}");
        }
        for typed in ["", "0", "0.0001", "-1", "nan", "inf", "1e9", "half", "50%"] {
            assert!(parse_cores(typed).is_err(), "{typed}");
        }
    }

    #[test]
    fn durations() {
        for (typed, millis) in [("2", 2000), ("0.5", 500), ("30s", 30_000), ("1h30m", 5_400_000), ("500ms", 500)] {
            assert_eq!(parse_duration(typed), Ok(Duration::from_millis(millis)), "{typed}");
        }
        for typed in ["", "0", "0s", "-1", "soon", "nan", "inf", "5 parsecs"] {
            assert!(parse_duration(typed).is_err(), "{typed}");
        }
    }
}
