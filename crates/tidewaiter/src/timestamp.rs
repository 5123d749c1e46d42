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

/// Reads what [`rfc3339`] writes, and a date alone (its first instant); only UTC.
pub(crate) fn parsed(text: &str) -> Option<Time> {
    let (date, clock) = text.trim().split_once(['T', ' ']).unwrap_or((text.trim(), "00:00:00Z"));
    let number = |part: &str, digits: usize| -> Option<u64> {
        let is_number = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
        if is_number { part.parse().ok() } else { None }
    };
    let mut parts = date.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let (year, month, day) = (number(year, 4)?, number(month, 2)?, number(day, 2)?);
    let clock = clock.strip_suffix('Z')?;
    let (clock, millis) = clock.split_once('.').unwrap_or((clock, "000"));
    let mut parts = clock.split(':');
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next()?);
    let (hour, minute, second) = (number(hour, 2)?, number(minute, 2)?, number(second, 2)?);
    let days = days_from_civil(year, month, day)?;
    if civil_date(days) != (year, month, day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = (hour * 60 + minute) * 60 + second;
    let millis = days * MILLIS_PER_DAY + seconds * 1000 + number(millis, 3)?;
    millis.checked_mul(1_000_000).map(Time)
}

/// The other way round; a month or day that does not exist gives some other day.
fn days_from_civil(year: u64, month: u64, day: u64) -> Option<u64> {
    let year = if month <= 2 { year.checked_sub(1)? } else { year };
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5 + day.checked_sub(1)?;
    let year_of_era = year % 400;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (year / 400 * 146_097 + of_era).checked_sub(719_468)
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
        for text in
            ["1970-01-01T00:00:00.000Z", "2024-02-29T23:59:59.123Z", "2100-03-01T00:00:00.000Z"]
        {
            assert_eq!(parsed(text).map(rfc3339).as_deref(), Some(text));
        }
        assert_eq!(parsed("2026-12-13").map(rfc3339).unwrap(), "2026-12-13T00:00:00.000Z");
        for wrong in [
            "",
            "2026-02-30",
            "2026-1-1",
            "1969-12-31",
            "2026-01-01T25:00:00Z",
            "2026-01-01T00:00:00+01:00",
            "soon",
        ] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
        assert_eq!(rfc3339(Time(0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(Time(1_709_164_800_123_999_999)), "2024-02-29T00:00:00.123Z");
        assert_eq!(rfc3339(Time(1_709_251_199_999_000_000)), "2024-02-29T23:59:59.999Z");
        assert_eq!(readable(Time(1_709_251_200_000_000_000)), "2024-03-01 00:00:00.000Z");
        assert_eq!(rfc3339(Time::NEVER), "2554-07-21T23:34:33.709Z");
    }
}
