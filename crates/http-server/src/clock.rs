//! The time of day, and how HTTP and logs write it.
//!
//! Only `now` reads a clock. All the rest is arithmetic in the Gregorian calendar, which repeats after 400 years, in UTC.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const SECONDS_OF_DAY: u64 = 86_400;
const DAYS_OF_400_YEARS: u64 = 146_097;
/// From 1970-01-01 to 2000-03-01, the first day of a 400-year period that begins in March.
const DAYS_TO_MARCH_2000: u64 = 11_017;
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The time of day.
#[expect(clippy::disallowed_methods, reason = "the one clock of the front door: when a request came")]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

/// A moment in UTC, to the microsecond. What lies before 1970 is 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    year: u64,
    /// From 0.
    month: usize,
    /// From 1.
    day: u64,
    weekday: &'static str,
    second_of_day: u64,
    microsecond: u32,
}

impl From<SystemTime> for Moment {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let days = since.as_secs() / SECONDS_OF_DAY;
        let (year, month, day) = date(days);
        Self {
            year,
            month,
            day,
            weekday: WEEKDAYS[(days % 7) as usize],
            second_of_day: since.as_secs() % SECONDS_OF_DAY,
            microsecond: since.subsec_micros(),
        }
    }
}

impl Moment {
    /// As in the common log format: `23/Nov/2026:06:17:39 +0000`.
    pub(crate) fn in_common_log(self) -> impl fmt::Display {
        fmt::from_fn(move |f| {
            write!(f, "{:02}/{}/{:04}:{} +0000", self.day, MONTHS[self.month], self.year, self.time())
        })
    }

    /// As in a field of HTTP: `Mon, 23 Nov 2026 06:17:39 GMT`.
    pub(crate) fn in_field(self) -> impl fmt::Display {
        let Self { weekday, day, year, .. } = self;
        fmt::from_fn(move |f| write!(f, "{weekday}, {day:02} {} {year:04} {} GMT", MONTHS[self.month], self.time()))
    }

    /// As in RFC 3339: `2026-11-23T06:17:39.000000Z`.
    pub(crate) fn in_rfc3339(self) -> impl fmt::Display {
        let Self { year, day, microsecond, .. } = self;
        fmt::from_fn(move |f| write!(f, "{year:04}-{:02}-{day:02}T{}.{microsecond:06}Z", self.month + 1, self.time()))
    }

    fn time(self) -> impl fmt::Display {
        let second = self.second_of_day;
        fmt::from_fn(move |f| write!(f, "{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60))
    }
}

/// The year, the month from 0 and the day from 1 of the day that is `days` after 1970-01-01.
///
/// Counts years from March, so that the day that not every year has is the last of its year.
fn date(days: u64) -> (u64, usize, u64) {
    // One period earlier, so that nothing is below zero.
    let since_march_1600 = days + DAYS_OF_400_YEARS - DAYS_TO_MARCH_2000;
    let period = since_march_1600 / DAYS_OF_400_YEARS;
    let day_of_period = since_march_1600 % DAYS_OF_400_YEARS;
    // The last day of a leap year, of a century's last year and of the period would each be a year too far.
    let leap_days = day_of_period / 1_460 - day_of_period / 36_524 + day_of_period / (DAYS_OF_400_YEARS - 1);
    let year_of_period = (day_of_period - leap_days) / 365;
    let day_of_year = day_of_period - (365 * year_of_period + year_of_period / 4 - year_of_period / 100);
    // From March on, five months have 153 days: 31, 30, 31, 30, 31.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12;
    let year = 1600 + 400 * period + year_of_period + u64::from(month < 2);
    (year, month as usize, day)
}

#[cfg(test)]
mod tests;
