//! The program as its users meet it: started, asked over HTTP, stopped by signals.

mod command_line;
mod configuration;
mod lifecycle;
mod passwords;
mod program;
mod serving;
mod tls;
mod wrong;
