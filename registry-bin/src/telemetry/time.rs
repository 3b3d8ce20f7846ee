//! Points in time, as logs write them.

use std::{
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// A point in time in UTC, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Utc {
    year: u64,
    month: u64,
    day: u64,
    second_of_day: u64,
    milliseconds: u32,
}

impl From<SystemTime> for Utc {
    /// Whatever was before 1970 is 1970.
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let days = since.as_secs() / 86_400;
        // Days from 1 March 0000, so that a leap day is the last of its year.
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
        let leaps = day_of_era / 1_460 + day_of_era / 146_096 - day_of_era / 36_524;
        let year_of_era = (day_of_era - leaps) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let month = if shifted_month < 10 {
            shifted_month + 3
        } else {
            shifted_month - 9
        };
        Self {
            year: era * 400 + year_of_era + u64::from(month <= 2),
            month,
            day: day_of_year - (153 * shifted_month + 2) / 5 + 1,
            second_of_day: since.as_secs() % 86_400,
            milliseconds: since.subsec_millis(),
        }
    }
}

impl Utc {
    /// As in the access logs of web servers: `21/Nov/2026:05:09:20 +0000`.
    pub(crate) fn common_log(self) -> String {
        let month = usize::try_from(self.month - 1).ok();
        let month = month.and_then(|month| MONTHS.get(month)).unwrap_or(&"???");
        let (hour, minute, second) = self.clock();
        format!(
            "{:02}/{month}/{}:{hour:02}:{minute:02}:{second:02} +0000",
            self.day, self.year
        )
    }

    fn clock(self) -> (u64, u64, u64) {
        let seconds = self.second_of_day;
        (seconds / 3600, seconds / 60 % 60, seconds % 60)
    }
}

/// As in RFC 3339: `2026-11-21T05:09:20.123Z`.
impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hour, minute, second) = self.clock();
        write!(
            f,
            "{:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z",
            self.year, self.month, self.day, self.milliseconds
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn calendar() {
        let rows = [
            (0, "1970-01-01T00:00:00.000Z", "01/Jan/1970:00:00:00 +0000"),
            (
                951_782_400_000,
                "2000-02-29T00:00:00.000Z",
                "29/Feb/2000:00:00:00 +0000",
            ),
            (
                1_795_237_760_123,
                "2026-11-21T05:09:20.123Z",
                "21/Nov/2026:05:09:20 +0000",
            ),
            (
                4_102_444_799_999,
                "2099-12-31T23:59:59.999Z",
                "31/Dec/2099:23:59:59 +0000",
            ),
        ];
        for (milliseconds, rfc3339, common) in rows {
            let utc = Utc::from(UNIX_EPOCH + Duration::from_millis(milliseconds));
            assert_eq!(
                (utc.to_string(), utc.common_log()),
                (rfc3339.into(), common.into())
            );
        }
    }
}
