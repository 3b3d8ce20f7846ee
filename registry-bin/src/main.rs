//! The program `registry`: configuration, logs, stores, listener, service, signals, exit status.

use std::{
    env,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use registry_bin::{
    announce, assemble, check,
    cli::{self, Command, ConfigArguments},
    config::{Config, Environment, Listen},
    failure::Failure,
    htpasswd::Htpasswd,
    listen::Listener,
    reload::Hangups,
    serve::{self, Surroundings},
    signal::Signals,
    systemd::{Notifier, Passed, Watchdog},
    telemetry::{self, Logs},
};

fn main() -> ExitCode {
    let done = match Command::parse(env::args_os().skip(1)) {
        Ok(Command::Serve { config }) => serve(config),
        Ok(Command::Config(arguments)) => configuration(arguments),
        Ok(Command::Htpasswd(users)) => htpasswd(&users),
        Ok(Command::Completions { shell }) => print(&cli::completions(shell)),
        Ok(Command::Man { command }) => cli::manual(command.as_deref())
            .map_err(Failure::Usage)
            .and_then(|page| print(&page)),
        Ok(Command::GarbageCollect { .. }) => Err(Failure::GarbageCollect),
        Err(question) if question.is_question() => question.print().map_err(Failure::from),
        Err(error) => Err(Failure::Usage(error)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn serve(file: Option<PathBuf>) -> Result<(), Failure> {
    // Before there are threads: it changes the environment.
    let passed = Passed::take()?;
    let environment = Environment::new(env::vars_os());
    let config = Config::load(file, &environment)?;
    let logs = telemetry::start(&config)?;
    announce::configuration(&config);
    let done = run(&config, &logs, passed, environment);
    logs.flush();
    done
}

fn run(
    config: &Config,
    logs: &Logs,
    passed: Passed,
    environment: Environment,
) -> Result<(), Failure> {
    let runtime = serve::runtime(config)?;
    let done = runtime.block_on(async {
        let registry = assemble::registry(config, logs.access())?;
        let listener =
            Listener::take_or_bind(passed.http, &config.http.listen, "http.addr").await?;
        let debug = match (passed.debug, &config.http.debug) {
            (None, None) => None,
            (passed, address) => {
                let address = address.clone().unwrap_or_default();
                Some(
                    Listener::take_or_bind(passed, &Listen::Tcp(address), "http.debug.addr")
                        .await?,
                )
            }
        };
        // Whoever reads that it listens may signal at once.
        let (signals, hangups) = (Signals::catch()?, Hangups::catch()?);
        let mut around = Surroundings::new(listener, signals);
        announce::listening(&around.listener, debug.as_ref(), config, &environment);
        around.debug = debug;
        around.notifier = Notifier::find(&environment);
        around.watchdog = Watchdog::find(&environment);
        let reloads = assemble::reloads(config, &registry, logs, environment);
        around.reloads = Some((reloads, hangups));
        serve::until_signalled(registry, config, around).await
    });
    // What is still writing is cut as a crash would cut it: nothing that was answered is lost.
    runtime.shutdown_background();
    done
}

fn configuration(arguments: ConfigArguments) -> Result<(), Failure> {
    let config = Config::load(arguments.config, &Environment::new(env::vars_os()))?;
    for warning in config.warnings.iter().chain(&check::warnings(&config)) {
        eprintln!("registry: warning: {warning}");
    }
    if !arguments.check {
        print(config.resolved.to_string().as_bytes())?;
    }
    Ok(check::files(&config)?)
}

fn htpasswd(users: &Htpasswd) -> Result<(), Failure> {
    let (line, note) = users.run()?;
    eprint!("{note}");
    print(line.as_bytes())
}

fn print(text: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout();
    Ok(out.write_all(text).and_then(|()| out.flush())?)
}
