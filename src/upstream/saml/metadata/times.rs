//! Times in metadata: `validUntil` (xs:dateTime) and `cacheDuration` (xs:duration).

use crate::context::Timestamp;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A moment. SAML Core §1.3.3 demands UTC; another zone that is written out is clear enough.
pub(super) fn moment(text: &str) -> Option<Timestamp> {
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok().map(Timestamp)
}

/// A length of time (XML Schema 2 §3.2.6). Years and months count 365 and 30 days: it is only for a cache.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let rest = text.strip_prefix('P')?;
    let (days, clock) = rest.split_once('T').map_or((rest, None), |(days, clock)| (days, Some(clock)));
    let date = parts(days, &[('Y', 365 * 86_400), ('M', 30 * 86_400), ('D', 86_400)])?;
    let clock = match clock {
        Some("") => return None,
        Some(clock) => parts(clock, &[('H', 3600), ('M', 60), ('S', 1)])?,
        None if days.is_empty() => return None,
        None => 0,
    };
    date.checked_add(clock).map(Duration::from_secs)
}

/// Numbers with their units, in this order, each at most once. A fraction of a second is cut off.
fn parts(text: &str, units: &[(char, u64)]) -> Option<u64> {
    let mut units = units.iter();
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(end);
        let unit = tail.chars().next()?;
        let (_, size) = units.find(|(name, _)| *name == unit)?;
        let (whole, fraction) = number.split_once('.').map_or((number, None), |(w, f)| (w, Some(f)));
        let fraction_ok =
            fraction.is_none_or(|f| unit == 'S' && !f.is_empty() && f.bytes().all(|b| b.is_ascii_digit()));
        if !fraction_ok {
            return None;
        }
        let number: u64 = whole.parse().ok()?;
        total = total.checked_add(number.checked_mul(*size)?)?;
        rest = tail.get(unit.len_utf8()..)?;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_as_the_schema_writes_them() {
        for (text, seconds) in [
            ("PT1H", 3600),
            ("P1D", 86_400),
            ("PT604800S", 604_800),
            ("P7DT12H30M5.25S", 7 * 86_400 + 12 * 3600 + 30 * 60 + 5),
            ("P1Y2M", (365 + 60) * 86_400),
            ("PT0S", 0),
        ] {
            assert_eq!(duration(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in [
            "",
            "P",
            "PT",
            "1D",
            "-P1D",
            "P1",
            "PT1",
            "P1H",
            "PT1D",
            "PT1M1H",
            "P1.5D",
            "PT1.S",
            "PT.S",
            "PT1.2.3S",
            "P1DT",
            "P 1D",
            "PT99999999999999999999S",
            "P1Dx",
        ] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn a_moment_needs_its_zone() {
        assert_eq!(moment("1970-01-01T00:00:01Z"), Some(Timestamp(1000)));
        assert_eq!(moment("1970-01-01T00:00:01.5Z"), Some(Timestamp(1500)));
        assert_eq!(moment("1970-01-01T01:00:00+01:00"), Some(Timestamp(0)));
        for text in ["", "1970-01-01", "1970-01-01T00:00:01", "1970-13-01T00:00:00Z", "tomorrow"] {
            assert_eq!(moment(text), None, "{text}");
        }
    }
}
