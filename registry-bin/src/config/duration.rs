//! Durations as Go writes them: `168h`, `1m30s`, `1.5s`; without a unit only `0` is one.

use std::time::Duration;

/// Why a text is no length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Invalid {
    /// It is below zero: every setting here is a length of time.
    Negative,
    /// It is a number, of nobody knows what.
    NoUnit,
    /// It is something else, or too long.
    Syntax,
}

/// Parses a duration.
pub(crate) fn parse(text: &str) -> Result<Duration, Invalid> {
    if let Some(positive) = text.strip_prefix('-') {
        return match magnitude(positive)? {
            Duration::ZERO => Ok(Duration::ZERO),
            _ => Err(Invalid::Negative),
        };
    }
    magnitude(text.strip_prefix('+').unwrap_or(text))
}

fn magnitude(mut rest: &str) -> Result<Duration, Invalid> {
    let mut total = Duration::ZERO;
    if rest == "0" {
        return Ok(total);
    }
    if rest.is_empty() {
        return Err(Invalid::Syntax);
    }
    while !rest.is_empty() {
        let number = prefix(rest, |c| c.is_ascii_digit() || c == '.');
        rest = rest.strip_prefix(number).ok_or(Invalid::Syntax)?;
        if rest.is_empty() && number.parse::<f64>().is_ok() {
            return Err(Invalid::NoUnit);
        }
        let unit = prefix(rest, |c| !c.is_ascii_digit() && c != '.');
        rest = rest.strip_prefix(unit).ok_or(Invalid::Syntax)?;
        let part = part(number, unit).ok_or(Invalid::Syntax)?;
        total = total.checked_add(part).ok_or(Invalid::Syntax)?;
    }
    Ok(total)
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
            ("168h", Ok(604_800_000)),
            ("1m30s", Ok(90_000)),
            ("1.5s", Ok(1_500)),
            ("+1s", Ok(1_000)),
            ("0", Ok(0)),
            ("0s", Ok(0)),
            ("-0s", Ok(0)),
            ("250ms", Ok(250)),
            ("", Err(Invalid::Syntax)),
            ("-", Err(Invalid::Syntax)),
            ("10", Err(Invalid::NoUnit)),
            ("1.5", Err(Invalid::NoUnit)),
            ("1h30", Err(Invalid::NoUnit)),
            ("-1s", Err(Invalid::Negative)),
            ("1d", Err(Invalid::Syntax)),
            ("1h ", Err(Invalid::Syntax)),
            ("h", Err(Invalid::Syntax)),
            ("1.2.3s", Err(Invalid::Syntax)),
            ("99999999999999h", Err(Invalid::Syntax)),
        ];
        for (text, milliseconds) in rows {
            let parsed = parse(text).map(|d| d.as_millis());
            assert_eq!(parsed, milliseconds, "{text:?}");
        }
    }

    #[test]
    fn written_as_configured() {
        for text in ["168h", "1m30s", "24h", "0s", "2h5s", "250ms"] {
            assert_eq!(parse(text).map(display).as_deref(), Ok(text));
        }
    }
}
