//! Durations as Go writes them: `168h`, `1m30s`, `1.5s`; a bare number is nanoseconds.

use std::time::Duration;

/// Parses a duration. Negative ones are none: every setting here is a length of time.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    if let Ok(nanoseconds) = text.parse::<u64>() {
        return Some(Duration::from_nanos(nanoseconds));
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let number = prefix(rest, |c| c.is_ascii_digit() || c == '.');
        rest = rest.strip_prefix(number)?;
        let unit = prefix(rest, |c| !c.is_ascii_digit() && c != '.');
        rest = rest.strip_prefix(unit)?;
        total = total.checked_add(part(number, unit)?)?;
    }
    Some(total)
}

/// Writes a duration the way it would be configured.
pub(crate) fn display(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if duration.is_zero() {
        return "0s".to_owned();
    }
    if seconds == 0 || duration.subsec_nanos() != 0 {
        return format!("{duration:?}");
    }
    let units = [
        (seconds / 3600, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
    ];
    units
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect()
}

fn prefix(text: &str, belongs: impl Fn(char) -> bool) -> &str {
    let end = text.find(|c| !belongs(c)).unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

fn part(number: &str, unit: &str) -> Option<Duration> {
    let nanoseconds: u64 = match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(nanoseconds).map(Duration::from_nanos);
    }
    let fraction: f64 = number.parse().ok()?;
    Duration::try_from_secs_f64(fraction * nanoseconds as f64 / 1e9).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_of_go() {
        let rows = [
            ("168h", Some(604_800_000)),
            ("1m30s", Some(90_000)),
            ("1.5s", Some(1_500)),
            ("0", Some(0)),
            ("0s", Some(0)),
            ("2000000000", Some(2_000)),
            ("250ms", Some(250)),
            ("", None),
            ("10", Some(0)),
            ("-1s", None),
            ("1d", None),
            ("1h ", None),
            ("h", None),
            ("1.2.3s", None),
            ("99999999999999h", None),
        ];
        for (text, milliseconds) in rows {
            let parsed = parse(text).map(|d| d.as_millis());
            assert_eq!(parsed, milliseconds, "{text:?}");
        }
    }

    #[test]
    fn written_as_configured() {
        for text in ["168h", "1m30s", "24h", "0s", "2h5s", "250ms"] {
            assert_eq!(parse(text).map(display).as_deref(), Some(text));
        }
    }
}
