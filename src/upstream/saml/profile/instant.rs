//! `xs:dateTime` as SAML uses it (SAML Core §1.3.3): UTC and nothing but UTC.

use crate::context::Timestamp;
use time::{Date, Month, Time};

/// Digits of a fraction of a second that are read; no provider writes more.
const MAX_FRACTION: usize = 12;

/// A time as SAML writes it: `2026-01-31T23:59:59Z`, with a fraction or without.
///
/// Core §1.3.3 demands UTC, so only `Z` is taken: an offset (even `+00:00`) or none at all is refused, rather than
/// guessed at; no provider that we know writes one. Leap seconds, which Core forbids, and the hour 24 are refused.
/// What is finer than a millisecond is cut off, as Core allows.
pub(in crate::upstream::saml) fn parse(text: &str) -> Option<Timestamp> {
    let text = text.strip_suffix('Z')?;
    let (date, clock) = text.split_once('T')?;
    let (year, month, day) = three(date, '-', [4, 2, 2])?;
    let (clock, millis) = match clock.split_once('.') {
        None => (clock, 0),
        Some((clock, fraction)) => (clock, millis(fraction)?),
    };
    let (hour, minute, second) = three(clock, ':', [2, 2, 2])?;
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    let date = Date::from_calendar_date(i32::from(year), month, u8::try_from(day).ok()?).ok()?;
    let clock = Time::from_hms_milli(
        u8::try_from(hour).ok()?,
        u8::try_from(minute).ok()?,
        u8::try_from(second).ok()?,
        millis,
    );
    let at = date.with_time(clock.ok()?).assume_utc();
    i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000_000)).ok().map(Timestamp)
}

/// Three numbers of so many digits each.
fn three(text: &str, by: char, lengths: [usize; 3]) -> Option<(u16, u16, u16)> {
    let mut parts = text.split(by);
    let mut numbers = lengths
        .map(|length| {
            parts
                .next()
                .filter(|part| part.len() == length && is_digits(part))
                .and_then(|part| part.parse().ok())
        })
        .into_iter();
    let found = (numbers.next()??, numbers.next()??, numbers.next()??);
    parts.next().is_none().then_some(found)
}

/// A fraction of a second, in milliseconds.
fn millis(fraction: &str) -> Option<u16> {
    if fraction.len() > MAX_FRACTION || !is_digits(fraction) {
        return None;
    }
    fraction.chars().chain("00".chars()).take(3).collect::<String>().parse().ok()
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_utc_and_exact() {
        for (text, at) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01T00:00:00.5Z", 500),
            ("1970-01-01T00:00:01.001Z", 1_001),
            ("1970-01-01T00:00:01.0019999Z", 1_001),
            ("1970-01-01T00:00:01.001999999999Z", 1_001),
            ("1970-01-01T00:00:01.05Z", 1_050),
            ("2000-02-29T12:30:45.120Z", 951_827_445_120),
            ("1969-12-31T23:59:59.999Z", -1),
        ] {
            assert_eq!(parse(text), Some(Timestamp(at)), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_in_utc_is_none() {
        for text in [
            "",
            "Z",
            "2026-01-31T23:59:59",
            "2026-01-31T23:59:59+00:00",
            "2026-01-31T23:59:59+01:00",
            "2026-01-31T23:59:59-00:00",
            "2026-01-31T23:59:59z",
            "2026-01-31t23:59:59Z",
            "2026-01-31 23:59:59Z",
            " 2026-01-31T23:59:59Z",
            "2026-01-31T23:59:59Z ",
            "2026-01-31T23:59:59ZZ",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-31T24:00:00Z",
            "2026-12-31T23:59:60Z",
            "2026-01-31T23:60:00Z",
            "2026-1-31T23:59:59Z",
            "2026-01-31T23:59Z",
            "2026-01-31T23:59:59.Z",
            "2026-01-31T23:59:59.1234567890123Z",
            "2026-01-31T23:59:59,5Z",
            "2026-01-31-01T23:59:59Z",
            "2026-01-31",
            "-2026-01-31T23:59:59Z",
            "+2026-01-31T23:59:59Z",
            "12026-01-31T23:59:59Z",
            "2026-01-31T23:59:+9Z",
            "٢٠٢٦-01-31T23:59:59Z",
            "1800000000",
            "P1D",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        /// Law: reading is total, and gives back what was written.
        #[test]
        fn reading_is_total_and_gives_back_what_was_written(text in "\\PC{0,40}", at in 0..4_000_000_000_000_i64) {
            let _ = parse(&text);
            let written = Timestamp(at).rfc3339();
            prop_assert_eq!(parse(&written), Some(Timestamp(at)));
        }
    }
}
