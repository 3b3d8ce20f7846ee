//! The parts of the `registry` program, in the order in which it uses them.

pub mod cli;
pub mod config;
pub mod telemetry;
pub mod announce;
pub mod listen;
pub mod scheduler;
pub mod signal;
