//! The parts of the `registry` program.

pub mod announce;
pub mod assemble;
pub mod check;
pub mod cli;
pub mod config;
pub mod failure;
pub mod htpasswd;
pub mod listen;
pub mod root;
pub mod scheduler;
pub mod serve;
pub mod signal;
pub mod telemetry;
pub mod tls;
