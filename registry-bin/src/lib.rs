//! The parts of the `registry` program.

pub mod announce;
pub mod cli;
pub mod config;
pub mod listen;
pub mod scheduler;
pub mod signal;
pub mod telemetry;
