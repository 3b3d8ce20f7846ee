use crate::{Result, args::Args, report::Report};
pub(crate) fn run(_: &mut Args) -> Result<Report> {
    Err("later".into())
}
