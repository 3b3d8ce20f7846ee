//! Maintenance: what an operator, or a timer, has done now and then over the stores.

mod uploads;

pub use self::uploads::PurgeReport;
