//! Points in time on the command line, in UTC.

use crate::error::{Error, Result};

const MS_PER_MINUTE: i64 = 60_000;
const MS_PER_HOUR: i64 = 60 * MS_PER_MINUTE;
const MS_PER_DAY: i64 = 24 * MS_PER_HOUR;

/// Milliseconds since 1970 of `2026-11-25`, `2026-11-25T08:30`, or of `7d`, `12h`, `30min` before now.
pub fn parse(text: &str, now_unix_ms: i64) -> Result<i64> {
    let time = ago(text).and_then(|ms| now_unix_ms.checked_sub(ms)).or_else(|| date(text));
    time.ok_or_else(|| Error::NoDate { text: text.to_owned() })
}

/// A year, month or day as dates begin in ISO 8601.
pub fn checked_date(text: &str) -> Result<String> {
    let whole = match text.len() {
        4 => format!("{text}-01-01"),
        7 => format!("{text}-01"),
        _ => text.to_owned(),
    };
    match date(&whole) {
        Some(_) => Ok(text.to_owned()),
        None => Err(Error::NoDate { text: text.to_owned() }),
    }
}

fn ago(text: &str) -> Option<i64> {
    let units = [("min", MS_PER_MINUTE), ("h", MS_PER_HOUR), ("d", MS_PER_DAY)];
    let (number, ms) = units.iter().find_map(|(unit, ms)| Some((text.strip_suffix(unit)?.trim(), *ms)))?;
    number.parse::<u32>().ok().and_then(|n| i64::from(n).checked_mul(ms))
}

fn date(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00"));
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute] = numbers(time.trim_end_matches('Z'), ':')?;
    let is_date = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    let is_time = (0..24).contains(&hour) && (0..60).contains(&minute);
    let days = days_since_1970(year, month, day);
    // The 31st of a shorter month would be told as another date.
    let is_real = is_date && is_time && civil(days) == (year, month, day);
    is_real.then_some(days * MS_PER_DAY + hour * MS_PER_HOUR + minute * MS_PER_MINUTE)
}

fn numbers<const N: usize>(text: &str, separator: char) -> Option<[i64; N]> {
    let parts: Vec<i64> = text.split(separator).map(|part| part.parse().ok()).collect::<Option<_>>()?;
    parts.try_into().ok()
}

/// A time as `2026-11-25 08:30`.
pub fn told(unix_ms: i64) -> String {
    let (year, month, day) = civil(unix_ms.div_euclid(MS_PER_DAY));
    let minutes = unix_ms.rem_euclid(MS_PER_DAY) / MS_PER_MINUTE;
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}", minutes / 60, minutes % 60)
}

/// Days from 1970-01-01 in the Gregorian calendar, by eras of 400 years that begin in March.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Year, month and day of a number of days from 1970-01-01.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_understood_and_told() {
        // By `date -u -d .. +%s`.
        for (text, seconds) in [
            ("1970-01-01", 0),
            ("2000-02-29", 951_782_400),
            ("2026-11-25T08:30", 1_795_595_400),
            ("2026-12-31 23:59", 1_798_761_540),
        ] {
            assert_eq!(parse(text, 0).unwrap(), seconds * 1000, "{text}");
        }
        assert_eq!(told(1_795_595_400_000), "2026-11-25 08:30");
        assert_eq!(told(-1), "1969-12-31 23:59");
        let now = 10 * MS_PER_DAY;
        for (text, ms) in [("7d", 7 * MS_PER_DAY), ("12h", 12 * MS_PER_HOUR), ("30min", 30 * MS_PER_MINUTE)] {
            assert_eq!(parse(text, now).unwrap(), now - ms);
        }
        for text in ["", "yesterday", "2026-02-30", "2026-13-01", "26-1-1", "2026-11-25T25:00", "-3d", "d"] {
            assert!(parse(text, now).is_err(), "{text}");
        }
    }
}
