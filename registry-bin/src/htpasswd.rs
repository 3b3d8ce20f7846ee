//! `registry htpasswd`: what Apache's `htpasswd` does, with bcrypt alone.

use std::{
    convert::Infallible,
    fs::File,
    io::{self, BufRead as _, IsTerminal as _},
    path::{Path, PathBuf},
};

use clap::Args;
use registry_auth::htpasswd::{DEFAULT_COST, EditError, Entry, HtpasswdFile, Skipped};
use registry_core::access::Secret;

use crate::locked::lock_folder;

/// What bcrypt looks at.
const LONGEST: usize = 72;

/// The options, by the letters that people know.
#[derive(Args, Clone, Debug)]
#[command(
    override_usage = "registry htpasswd -Bc FILE USER          a new file; asks for the password
       registry htpasswd -B FILE USER           another user, or another password
       registry htpasswd -nB USER               print the line
       registry htpasswd -Bbn USER PASSWORD     print the line, without a question
       registry htpasswd -D FILE USER           remove a user
       registry htpasswd -v FILE USER           whether the password is right",
    after_long_help = "A password on the command line (-b) is seen by every user of the machine and stays in the \
                       shell's history: rather be asked, or give it with -i.

Exit status:
  0    done
  1    something failed: the file cannot be read or written, or the password is not fit
  3    the password is wrong, or none lets the user in (-v)
  6    the user is not in the file (-v, -D)
  64   the command line makes no sense"
)]
#[non_exhaustive]
pub struct Htpasswd {
    /// Hash with bcrypt: always so, the flag may be left out.
    #[arg(short = 'B')]
    bcrypt: bool,
    /// The password is on the command line.
    #[arg(short = 'b', conflicts_with = "input")]
    batch: bool,
    /// The password is read from standard input, its first line.
    #[arg(short = 'i')]
    input: bool,
    /// Print the line instead of writing a file.
    #[arg(short = 'n', conflicts_with_all = ["create", "delete", "verify"])]
    print: bool,
    /// Make the file anew: what it had is gone.
    #[arg(short = 'c', conflicts_with_all = ["delete", "verify"])]
    create: bool,
    /// Remove the user.
    #[arg(short = 'D', conflicts_with = "verify")]
    delete: bool,
    /// Only verify the password; the file stays as it is.
    #[arg(short = 'v')]
    verify: bool,
    /// What a hash costs: two to the power of this rounds, 4 to 17.
    #[arg(short = 'C', value_name = "COST", default_value_t = DEFAULT_COST)]
    cost: u32,
    /// MD5: refused.
    #[arg(short = 'm', hide = true)]
    md5: bool,
    /// SHA-1: refused.
    #[arg(short = 's', hide = true)]
    sha: bool,
    /// crypt: refused.
    #[arg(short = 'd', hide = true)]
    crypt: bool,
    /// Plain text: refused.
    #[arg(short = 'p', hide = true)]
    plain: bool,
    /// The file (not with -n), the user, and with -b the password.
    #[arg(value_name = "FILE USER PASSWORD", num_args = 0..=3, value_parser = word)]
    words: Vec<Secret>,
}

/// Any word may be the password, and is not shown.
fn word(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text))
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HtpasswdError {
    /// The user or the file is not fit.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// The password cannot be read.
    #[error("the password cannot be read: {0}")]
    Input(#[source] io::Error),
    /// The two passwords differ.
    #[error("the two passwords differ; nothing was written")]
    Repetition,
    /// A kind of hash that is not written.
    #[error(
        "only bcrypt hashes are written, since the registry lets in nobody else; write -B, or nothing"
    )]
    Scheme,
    /// The user is there, and cannot come in with any password.
    #[error("{0}")]
    Skipped(Skipped),
    /// The user is not in the file.
    #[error("{user:?} is not in {file}")]
    Unknown {
        /// The user.
        user: String,
        /// The file.
        file: String,
    },
    /// The words are too few or too many.
    #[error("{0}; `registry htpasswd --help` shows how")]
    Usage(&'static str),
    /// The password is wrong.
    #[error("the password is wrong")]
    Wrong,
}

/// What belongs on standard output, then what belongs on standard error.
type Said = Result<(String, String), HtpasswdError>;

impl Htpasswd {
    /// Does it. The answer is what belongs on standard output, then what belongs on standard error.
    ///
    /// # Errors
    ///
    /// [`HtpasswdError`], after which everything is as it was.
    pub fn run(&self) -> Said {
        if self.md5 || self.sha || self.crypt || self.plain {
            return Err(HtpasswdError::Scheme);
        }
        let mut words = self.words.iter().cloned();
        let file = if self.print {
            None
        } else {
            let file = words
                .next()
                .ok_or(HtpasswdError::Usage("the file is missing"))?;
            Some(PathBuf::from(file.expose()))
        };
        let user = words
            .next()
            .ok_or(HtpasswdError::Usage("the user is missing"))?;
        let user = user.expose();
        let given = words.next();
        match (&given, self.batch) {
            (None, true) => return Err(HtpasswdError::Usage("the password is missing")),
            (Some(_), false) => {
                let message = "there is one word too many; a password goes with -b";
                return Err(HtpasswdError::Usage(message));
            }
            (Some(_), true) | (None, false) => {}
        }
        let Some(file) = file else {
            let password = self.password(given, true)?;
            let entry = Entry::hash(user, &password, self.cost)?;
            return Ok((format!("{}\n", entry.line()), note_of_length(&password)));
        };
        if self.verify {
            return self.check(&file, user, given);
        }
        if !self.create {
            // Before anybody is asked for a password in vain.
            HtpasswdFile::read(&file)?;
        }
        if self.delete {
            return remove(&file, user);
        }
        let password = self.password(given, true)?;
        let entry = Entry::hash(user, &password, self.cost)?;
        let _lock = lock(&file);
        let mut users = if self.create {
            HtpasswdFile::default()
        } else {
            HtpasswdFile::read(&file)?
        };
        let what = if users.set(&entry) {
            "Updating"
        } else {
            "Adding"
        };
        users.write(&file)?;
        let note = note_of_length(&password);
        let said = format!("{what} password for user {user}\n{note}");
        Ok((String::new(), said))
    }

    fn check(&self, file: &Path, user: &str, given: Option<Secret>) -> Said {
        let users = HtpasswdFile::read(file)?;
        let password = self.password(given, false)?;
        match users.verify(user, &password) {
            Some(true) => Ok((
                String::new(),
                format!("Password for user {user} correct.\n"),
            )),
            Some(false) => Err(HtpasswdError::Wrong),
            None => Err(match users.skipped(user) {
                Some(skipped) => HtpasswdError::Skipped(skipped),
                None => unknown(file, user),
            }),
        }
    }

    fn password(&self, given: Option<Secret>, twice: bool) -> Result<Secret, HtpasswdError> {
        if let Some(given) = given {
            return Ok(given);
        }
        if self.input || !io::stdin().is_terminal() {
            let mut line = String::new();
            let mut input = io::stdin().lock();
            input.read_line(&mut line).map_err(HtpasswdError::Input)?;
            return Ok(Secret::new(line.trim_end_matches(['\r', '\n'])));
        }
        let ask = |prompt| rpassword::prompt_password(prompt).map_err(HtpasswdError::Input);
        let password = ask(if twice {
            "New password: "
        } else {
            "Password: "
        })?;
        if twice && ask("Re-type new password: ")? != password {
            return Err(HtpasswdError::Repetition);
        }
        Ok(Secret::new(password))
    }
}

fn remove(file: &Path, user: &str) -> Said {
    let _lock = lock(file);
    let mut users = HtpasswdFile::read(file)?;
    if !users.remove(user) {
        return Err(unknown(file, user));
    }
    users.write(file)?;
    let said = format!("Deleting password for user {user}\n");
    Ok((String::new(), said))
}

fn unknown(file: &Path, user: &str) -> HtpasswdError {
    HtpasswdError::Unknown {
        user: user.to_owned(),
        file: file.display().to_string(),
    }
}

/// Keeps others from changing a file until it is dropped, so that of two who read, change and write it
/// none is lost. It is the folder that is locked, as the file itself is another one afterwards; that of the
/// file which a link leads to. Where folders cannot be locked it is as it is with Apache's.
fn lock(file: &Path) -> Option<File> {
    lock_folder(&file.canonicalize().unwrap_or_else(|_| file.to_owned()))
}

/// What bcrypt does not look at must not be relied on.
fn note_of_length(password: &Secret) -> String {
    if password.expose().len() <= LONGEST {
        return String::new();
    }
    format!("Of this password only the first {LONGEST} bytes count.\n")
}

#[cfg(test)]
mod tests {
    use crate::cli::Command;

    #[test]
    fn passwords_of_the_command_line_are_not_shown() {
        let words = ["htpasswd", "-Bb", "users", "ada", "hunter2"];
        let command = Command::parse(words.map(Into::into)).unwrap();
        let shown = format!("{command:?} {command:#?}");
        assert!(
            shown.contains("batch: true") && !shown.contains("hunter2"),
            "{shown}"
        );
        let words = ["htpasswd", "-Bbn", "ada", "hunter2"];
        let Ok(Command::Htpasswd(users)) = Command::parse(words.map(Into::into)) else {
            panic!("it is a command");
        };
        assert!(users.run().unwrap().0.starts_with("ada:$2y$10$"));
    }
}
