//! The parts of the `registry` program.

pub mod announce;
pub mod assemble;
mod causes;
pub mod check;
pub mod cli;
pub mod config;
#[cfg(test)]
mod explained;
pub mod failure;
pub mod files;
pub mod health;
pub mod htpasswd;
pub mod listen;
mod locked;
#[cfg(test)]
mod pages;
pub mod reload;
mod requests;
pub mod root;
pub mod scheduler;
pub mod serve;
pub mod signal;
pub mod supervise;
pub mod systemd;
pub mod telemetry;
pub mod tls;
pub mod trusted;
pub mod warnings;
