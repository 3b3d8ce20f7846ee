//! The parts of the `registry` program, in the order in which it uses them.

pub mod config;
