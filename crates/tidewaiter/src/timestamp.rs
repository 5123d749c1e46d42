//! Times as people read them: RFC 3339 in UTC, with milliseconds.

use std::time::{SystemTime, UNIX_EPOCH};

use observation::Time;

const MILLIS_PER_DAY: u64 = 86_400_000;

/// The wall clock. Only the program reads it; what decides is given times.
pub(crate) fn now() -> Time {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX))
}

/// `2026-11-24T21:24:24.513Z`, for JSON and other programs.
pub(crate) fn rfc3339(time: Time) -> String {
    written(time, 'T')
}

/// `2026-11-24 21:24:24.513Z`, for people.
pub(crate) fn readable(time: Time) -> String {
    written(time, ' ')
}

fn written(time: Time, separator: char) -> String {
    let millis = time.as_millis();
    let (year, month, day) = civil_date(millis / MILLIS_PER_DAY);
    let of_day = millis % MILLIS_PER_DAY;
    let (hour, minute) = (of_day / 3_600_000, of_day / 60_000 % 60);
    let (second, milli) = (of_day / 1000 % 60, of_day % 1000);
    format!("{year:04}-{month:02}-{day:02}{separator}{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// Days since 1970-01-01 as year, month and day of the Gregorian calendar, by counting in years
/// that start in March, so that the leap day is a year's last.
/// Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
fn civil_date(days_since_epoch: u64) -> (u64, u64, u64) {
    const DAYS_FROM_0000_03_01: u64 = 719_468;
    const DAYS_PER_ERA: u64 = 146_097;
    let days = days_since_epoch + DAYS_FROM_0000_03_01;
    let era = days / DAYS_PER_ERA;
    let day_of_era = days % DAYS_PER_ERA;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_epoch_a_leap_day_and_the_end_of_time() {
        assert_eq!(rfc3339(Time(0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(Time(1_709_164_800_123_999_999)), "2024-02-29T00:00:00.123Z");
        assert_eq!(rfc3339(Time(1_709_251_199_999_000_000)), "2024-02-29T23:59:59.999Z");
        assert_eq!(readable(Time(1_709_251_200_000_000_000)), "2024-03-01 00:00:00.000Z");
        assert_eq!(rfc3339(Time::NEVER), "2554-07-21T23:34:33.709Z");
    }
}
