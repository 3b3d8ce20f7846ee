//! What can be typed, and the exit status of what cannot.

use tempfile::TempDir;

use crate::program::output;

#[test]
fn texts_and_statuses() {
    let home = TempDir::new().unwrap();
    let rows: [(&[&str], i32, &str, &str); 6] = [
        (
            &["--version"],
            0,
            concat!("registry ", env!("CARGO_PKG_VERSION"), "\n"),
            "",
        ),
        (&["--help"], 0, "An OCI and Docker registry.", ""),
        (
            &[],
            64,
            "",
            "registry: a command is missing; `registry --help` names",
        ),
        (&["push"], 64, "", "registry: there is no command \"push\""),
        (
            &["serve", "/nowhere.yml"],
            78,
            "",
            "registry: /nowhere.yml: cannot be read: ",
        ),
        (
            &["serve", "a", "b"],
            64,
            "",
            "registry: `serve` takes one configuration file",
        ),
    ];
    for (arguments, status, stdout, stderr) in rows {
        let output = output(home.path(), arguments, &[]);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}");
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (out, err) = (text(output.stdout), text(output.stderr));
        assert!(
            out.starts_with(stdout) && out.is_empty() == stdout.is_empty(),
            "{out}"
        );
        assert!(
            err.starts_with(stderr) && err.is_empty() == stderr.is_empty(),
            "{err}"
        );
    }
}
