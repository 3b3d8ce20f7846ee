//! The command line: one definition, of which help, completions and the manual page are made.

use std::{ffi::OsString, fmt, io, path::PathBuf};

use clap::{Args, CommandFactory as _, Parser, Subcommand, error::ErrorKind};
use clap_complete::Shell;

use crate::htpasswd::Htpasswd;

/// An OCI and Docker registry.
///
/// It takes the place of Distribution's `registry:2`: the same data, the same configuration file, the
/// same variables.
#[derive(Debug, Parser)]
#[command(
    name = "registry",
    version,
    disable_help_subcommand = false,
    disable_version_flag = true,
    subcommand_required = true,
    arg_required_else_help = false,
    after_long_help = MORE
)]
struct CommandLine {
    /// Print the version.
    #[arg(short = 'v', short_alias = 'V', long, action = clap::ArgAction::Version)]
    version: Option<bool>,
    #[command(subcommand)]
    command: Command,
}

/// What the program was asked to do.
#[derive(Debug, Subcommand)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the program does all of them, or it does not compile"
)]
pub enum Command {
    /// Serve until SIGTERM or SIGINT.
    ///
    /// Without CONFIG the file that REGISTRY_CONFIGURATION_PATH names is read; without that, defaults
    /// apply: http://127.0.0.1:5000, with the content in $STATE_DIRECTORY, which systemd sets for a
    /// service, or else in $XDG_DATA_HOME/registry or ~/.local/share/registry. The log goes to standard
    /// error, a line for each request to standard output.
    Serve {
        /// The configuration file (Distribution's, version 0.1).
        config: Option<PathBuf>,
    },
    /// Print what the configuration comes to, each value with where it was written.
    ///
    /// Secrets are masked. The file, the variables and the files that they name are looked at as
    /// `serve` would; nothing is opened for connections and nothing is written.
    Config(ConfigArguments),
    /// Write users and passwords for auth.htpasswd.
    ///
    /// The options are those of Apache's `htpasswd`; hashes are bcrypt. Without -b or -i the password is
    /// asked for, twice.
    Htpasswd(Htpasswd),
    /// Remove what no manifest needs (comes with a later release).
    #[command(name = "garbage-collect")]
    GarbageCollect {
        /// Whatever Distribution's command takes.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Print a completion script for a shell.
    #[command(after_long_help = "bash: source <(registry completions bash)")]
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Print a manual page (troff).
    #[command(after_long_help = "to read it: registry man htpasswd | man -l -")]
    Man {
        /// Of which command; without one, of the program.
        command: Option<String>,
    },
}

/// How the configuration is looked at.
#[derive(Args, Debug)]
#[non_exhaustive]
pub struct ConfigArguments {
    /// Only say whether it is fine: print nothing, or what is wrong, and exit with 78 then.
    #[arg(long)]
    pub check: bool,
    /// The configuration file (Distribution's, version 0.1).
    pub config: Option<PathBuf>,
}

impl Command {
    /// Parses the arguments behind the program's name.
    ///
    /// # Errors
    ///
    /// [`UsageError`], which is also how help and the version are asked for.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, UsageError> {
        let name = [OsString::from("registry")];
        let line = CommandLine::try_parse_from(name.into_iter().chain(arguments));
        line.map(|line| line.command).map_err(UsageError)
    }
}

/// Arguments that say nothing that can be done, or ask for help or the version. `Debug` shows none of
/// them: one may be a password.
pub struct UsageError(clap::Error);

impl UsageError {
    /// Whether help or the version was asked for, rather than something wrong.
    pub fn is_question(&self) -> bool {
        matches!(
            self.0.kind(),
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
        )
    }

    /// Prints it where it belongs.
    ///
    /// # Errors
    ///
    /// When that cannot be written.
    pub fn print(&self) -> io::Result<()> {
        self.0.print()
    }
}

impl fmt::Debug for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UsageError").field(&self.0.kind()).finish()
    }
}

/// The name and version of the program.
pub fn version() -> String {
    format!("registry {}", env!("CARGO_PKG_VERSION"))
}

/// The completion script of a shell.
pub fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    let mut line = CommandLine::command().mut_subcommand("htpasswd", |htpasswd| {
        // What is refused is taken, to say why; it is not offered.
        let all = htpasswd.get_arguments();
        let offered = all.filter(|argument| !argument.is_hide_set());
        clap::Command::new("htpasswd")
            .about(htpasswd.get_about().cloned().unwrap_or_default())
            .args(offered.cloned())
    });
    clap_complete::generate(shell, &mut line, "registry", &mut script);
    script
}

/// The manual page of a command, or of the program.
///
/// # Errors
///
/// [`UsageError`] when there is no such command.
pub fn manual(of: Option<&str>) -> Result<Vec<u8>, UsageError> {
    let mut line = CommandLine::command();
    line.build();
    let command = match of {
        None => line,
        Some(name) => match line.find_subcommand(name) {
            Some(command) => command.clone(),
            None => {
                let message = format!("there is no command {name:?}; registry --help lists them\n");
                return Err(UsageError(
                    line.error(ErrorKind::InvalidSubcommand, message),
                ));
            }
        },
    };
    let more = command.get_after_long_help().map(ToString::to_string);
    let has_commands = command.has_subcommands();
    let man = clap_mangen::Man::new(command);
    let mut page = Vec::new();
    let written = man
        .render_title(&mut page)
        .and_then(|()| man.render_name_section(&mut page))
        .and_then(|()| man.render_synopsis_section(&mut page))
        .and_then(|()| man.render_description_section(&mut page))
        .and_then(|()| man.render_options_section(&mut page))
        .and_then(|()| match has_commands {
            true => man.render_subcommands_section(&mut page),
            false => Ok(()),
        });
    written.expect("memory can be written");
    if let Some(more) = more {
        page.extend_from_slice(as_it_stands(&more).as_bytes());
    }
    Ok(page)
}

/// A section of a manual page. A paragraph of several lines is not filled: it is a table.
fn as_it_stands(text: &str) -> String {
    let line = |line: &str| {
        let line = line.replace('\\', "\\e").replace('-', "\\-");
        // A line that begins so would be a command of troff's.
        let guard = if line.starts_with(['.', '\'']) {
            "\\&"
        } else {
            ""
        };
        format!("{guard}{line}\n")
    };
    let paragraph = |text: &str| {
        let lines: String = text.lines().map(line).collect();
        if text.lines().count() == 1 {
            return lines;
        }
        format!(".nf\n{lines}.fi\n")
    };
    let paragraphs: Vec<_> = text.split("\n\n").map(paragraph).collect();
    format!(".SH NOTES\n{}", paragraphs.join(".PP\n"))
}

/// The help of each command, as a page of the documentation shows it.
pub fn reference() -> String {
    let mut command = CommandLine::command();
    command.build();
    let mut text = section("registry", &mut command);
    for command in command.get_subcommands_mut() {
        if command.get_name() != "help" {
            let name = format!("registry {}", command.get_name());
            text.push_str(&section(&name, command));
        }
    }
    text
}

fn section(name: &str, command: &mut clap::Command) -> String {
    let help = command.render_long_help().to_string();
    let lines: Vec<_> = help.lines().map(str::trim_end).collect();
    format!(
        "## `{name}`\n\n```text\n{}\n```\n\n",
        lines.join("\n").trim_end()
    )
}

const MORE: &str = "\
Each setting of the configuration can also be a variable: REGISTRY_HTTP_ADDR=:5000 is http.addr.

Examples:
  registry serve                                  on http://127.0.0.1:5000, without any configuration
  registry serve /etc/docker/registry/config.yml  as Distribution's registry
  registry config --check config.yml              before the next start
  registry htpasswd -Bc users.htpasswd ada        a first user; asks for the password

Exit status:
  0    done; of serve: stopped by a signal, after requests under way had been answered or cut
  1    something failed
  3    of htpasswd -v: the password is wrong, or none lets the user in
  6    of htpasswd -v and -D: the user is not in the file
  64   the command line makes no sense
  78   the configuration makes no sense
  130, 143   stopped at once by a second SIGINT, SIGTERM";

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> String {
        match Command::parse(words.iter().map(OsString::from)) {
            Ok(command) => format!("{command:?}"),
            Err(error) if error.is_question() => format!("asks: {:?}", error.0.kind()),
            Err(error) => format!("wrong: {:?}", error.0.kind()),
        }
    }

    #[test]
    fn command_lines() {
        let rows: [(&[&str], &str); 17] = [
            (&["serve"], "Serve { config: None }"),
            (&["serve", "c.yml"], "Serve { config: Some(\"c.yml\") }"),
            (
                &["config", "--check"],
                "Config(ConfigArguments { check: true, config: None })",
            ),
            (
                &["config", "c.yml"],
                "Config(ConfigArguments { check: false, config: Some(\"c.yml\") })",
            ),
            (&["--version"], "asks: DisplayVersion"),
            (&["-v"], "asks: DisplayVersion"),
            (&["--help"], "asks: DisplayHelp"),
            (&["serve", "--help"], "asks: DisplayHelp"),
            (&["help"], "asks: DisplayHelp"),
            (&["completions", "bash"], "Completions { shell: Bash }"),
            (&["man", "serve"], "Man { command: Some(\"serve\") }"),
            (
                &["garbage-collect", "-m", "c.yml"],
                "GarbageCollect { arguments: [\"-m\", \"c.yml\"] }",
            ),
            (&[], "wrong: MissingSubcommand"),
            (&["server"], "wrong: InvalidSubcommand"),
            (&["serve", "-x"], "wrong: UnknownArgument"),
            (&["serve", "a", "b"], "wrong: UnknownArgument"),
            (&["completions", "dos"], "wrong: InvalidValue"),
        ];
        for (words, expected) in rows {
            assert_eq!(
                parsed(words).to_lowercase(),
                expected.to_lowercase(),
                "{words:?}"
            );
        }
    }

    #[test]
    fn all_is_made_of_one_definition() {
        CommandLine::command().debug_assert();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it is text");
        for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
            assert!(text(completions(shell)).contains("htpasswd"));
        }
        // What is refused is not offered; what is taken is.
        let script = text(completions(Shell::Bash));
        let offered = script
            .split("registry__subcmd__htpasswd)")
            .nth(1)
            .unwrap_or_default();
        let offered = offered.split("opts=\"").nth(1).unwrap_or_default();
        let offered = offered.split('"').next().unwrap_or_default();
        assert_eq!(offered.trim(), "-B -b -i -n -c -D -v -C -h --help");
        let command = CommandLine::command();
        let names = command.get_subcommands().map(clap::Command::get_name);
        let program = text(manual(None).unwrap());
        for name in names {
            let page = text(manual(Some(name)).unwrap());
            let name = format!("registry\\-{}", name.replace('-', "\\-"));
            assert!(page.contains(&name) && program.contains(&name), "{page}");
        }
        assert!(program.contains("\n.nf\n") && program.contains("\n  64   the command line"));
        let users = text(manual(Some("htpasswd")).unwrap());
        assert!(
            users.contains("give it with \\-i.\n.PP\n.nf\nExit status:\n"),
            "{users}"
        );
        assert!(manual(Some("absent")).is_err());
    }
}
