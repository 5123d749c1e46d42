//! Points in time as text: RFC 3339, the way Go's programs write it.

use observation::Time;

/// `2026-11-24T03:45:48.882639917Z`, with `Z` or an offset and up to nine decimals. `None` for
/// anything else, and for times that a [`Time`] cannot hold, such as Go's zero time of year 1.
pub(crate) fn parse(text: &str) -> Option<Time> {
    let bytes = text.as_bytes();
    let [year, month, day] = [digits(bytes, 0, 4)?, digits(bytes, 5, 2)?, digits(bytes, 8, 2)?];
    let [hour, minute, second] =
        [digits(bytes, 11, 2)?, digits(bytes, 14, 2)?, digits(bytes, 17, 2)?];
    let separators = [bytes.get(4)?, bytes.get(7)?, bytes.get(13)?, bytes.get(16)?];
    if separators != [&b'-', &b'-', &b':', &b':'] || !matches!(bytes.get(10)?, b'T' | b't' | b' ') {
        return None;
    }
    let is_possible = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour <= 23
        && minute <= 59
        && second <= 60;
    if !is_possible {
        return None;
    }
    let (fraction_ns, zone) = fraction(bytes.get(19..)?)?;
    let offset_s = zone_offset_s(zone)?;
    let seconds = days_since_epoch(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    let utc_s = u64::try_from(seconds - offset_s).ok()?;
    utc_s.checked_mul(1_000_000_000)?.checked_add(fraction_ns).map(Time)
}

fn digits(bytes: &[u8], offset: usize, count: usize) -> Option<i64> {
    bytes.get(offset..offset + count)?.iter().try_fold(0, |number, byte| match byte {
        b'0'..=b'9' => Some(number * 10 + i64::from(byte - b'0')),
        _ => None,
    })
}

/// Nanoseconds of `.123`, and what follows; decimals beyond the ninth are dropped.
fn fraction(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let Some(decimals) = bytes.strip_prefix(b".") else { return Some((0, bytes)) };
    let count = decimals.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (decimals, zone) = decimals.split_at_checked(count)?;
    let padded = decimals.iter().copied().chain(std::iter::repeat(b'0')).take(9);
    let fraction_ns = padded.fold(0, |number, byte| number * 10 + u64::from(byte - b'0'));
    (count > 0).then_some((fraction_ns, zone))
}

fn zone_offset_s(zone: &[u8]) -> Option<i64> {
    let sign = match zone {
        [b'Z' | b'z'] => return Some(0),
        [b'+', _, _, b':', _, _] => 1,
        [b'-', _, _, b':', _, _] => -1,
        _ => return None,
    };
    Some(sign * (digits(zone, 1, 2)? * 3600 + digits(zone, 4, 2)? * 60))
}

/// Days from 1970-01-01, by the proleptic Gregorian calendar (Hinnant's `days_from_civil`).
const fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_times_with_and_without_an_offset() {
        assert_eq!(parse("1970-01-01T00:00:00Z"), Some(Time(0)));
        assert_eq!(parse("2026-11-24T03:45:48.882639917Z"), Some(Time(1_795_491_948_882_639_917)));
        assert_eq!(parse("1970-01-01T01:00:00.5+01:00"), Some(Time(500_000_000)));
        assert_eq!(parse("1969-12-31T20:00:01-04:00"), Some(Time(1_000_000_000)));
        assert_eq!(parse("2000-02-29T00:00:00Z"), Some(Time(951_782_400_000_000_000)));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "0001-01-01T00:00:00Z",
            "2026-11-24",
            "2026-11-24T03:45:48",
            "2026-11-24T03:45:48.Z",
            "2026-13-24T03:45:48Z",
            "2026-11-24T24:45:48Z",
            "9999-11-24T03:45:48Z",
            "2026-11-24T03:45:48+1:00",
            "２026-11-24T03:45:48Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
