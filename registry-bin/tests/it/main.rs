//! The program as its users meet it: started, asked over HTTP, stopped by signals.

mod command_line;
mod configuration;
mod drain;
mod lifecycle;
mod program;
mod secrets;
mod serving;
