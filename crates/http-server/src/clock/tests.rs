//! Dates are those of the calendar.

use super::*;

fn at(seconds: u64) -> Moment {
    Moment::from(UNIX_EPOCH + Duration::from_secs(seconds))
}

#[test]
fn known_moments_are_written_as_each_format_wants() {
    for (seconds, common, field, rfc3339) in [
        (0, "01/Jan/1970:00:00:00 +0000", "Thu, 01 Jan 1970 00:00:00 GMT", "1970-01-01T00:00:00.000000Z"),
        (784_111_777, "06/Nov/1994:08:49:37 +0000", "Sun, 06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37.000000Z"),
        (951_782_400, "29/Feb/2000:00:00:00 +0000", "Tue, 29 Feb 2000 00:00:00 GMT", "2000-02-29T00:00:00.000000Z"),
        (1_709_251_199, "29/Feb/2024:23:59:59 +0000", "Thu, 29 Feb 2024 23:59:59 GMT", "2024-02-29T23:59:59.000000Z"),
        (1_795_414_659, "23/Nov/2026:06:17:39 +0000", "Mon, 23 Nov 2026 06:17:39 GMT", "2026-11-23T06:17:39.000000Z"),
        (4_107_542_400, "01/Mar/2100:00:00:00 +0000", "Mon, 01 Mar 2100 00:00:00 GMT", "2100-03-01T00:00:00.000000Z"),
    ] {
        let moment = at(seconds);
        assert_eq!(moment.in_common_log().to_string(), common);
        assert_eq!(moment.in_field().to_string(), field);
        assert_eq!(moment.in_rfc3339().to_string(), rfc3339);
    }
}

#[test]
fn every_day_of_two_periods_follows_the_day_before() {
    let (mut year, mut month, mut day) = (1970, 0, 1);
    for days in 0..2 * DAYS_OF_400_YEARS {
        assert_eq!(date(days), (year, month, day), "{days} days after 1970-01-01");
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let last = [31, if is_leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month];
        (day, month) = if day == last { (1, month + 1) } else { (day + 1, month) };
        (month, year) = if month == 12 { (0, year + 1) } else { (month, year) };
    }
}

#[test]
fn a_clock_that_is_far_off_is_no_fault() {
    assert_eq!(Moment::from(UNIX_EPOCH - Duration::from_secs(1)), at(0));
    assert_eq!(at(253_402_300_800).in_rfc3339().to_string(), "10000-01-01T00:00:00.000000Z");
}
