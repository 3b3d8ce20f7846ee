//! The program `registry`: configuration, logs, stores, listener, service, signals, exit status.

use std::{
    env,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use registry_bin::{
    announce, assemble,
    cli::{self, Command},
    config::{Config, Environment},
    failure::Failure,
    listen::Listener,
    serve,
    signal::Signals,
    telemetry,
};

fn main() -> ExitCode {
    let done = match Command::parse(env::args_os().skip(1)) {
        Ok(Command::Help) => print(cli::HELP),
        Ok(Command::Version) => print(&format!("{}\n", cli::version())),
        Ok(Command::Serve(file)) => serve(file),
        Err(error) => Err(Failure::Usage(error)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn serve(file: Option<PathBuf>) -> Result<(), Failure> {
    let config = Config::load(file, &Environment::new(env::vars_os()))?;
    telemetry::start(&config.log);
    announce::configuration(&config);
    let runtime = serve::runtime(&config)?;
    let done = runtime.block_on(async {
        let registry = assemble::registry(&config)?;
        let listener = Listener::bind(&config.http.listen).await?;
        let signals = Signals::catch()?;
        announce::listening(&listener);
        serve::until_signalled(registry, listener, signals, config.http.drain).await
    });
    // What is still writing is cut as a crash would cut it: nothing that was answered is lost.
    runtime.shutdown_background();
    done
}

fn print(text: &str) -> Result<(), Failure> {
    Ok(io::stdout().write_all(text.as_bytes())?)
}
