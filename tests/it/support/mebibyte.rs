//! A disk that is nearly full, or full.

use std::path::Path;
use std::process::Command;

use super::program::{Finished, Run};
use super::{build, ordinary};

/// Runs our program with a folder of 1 MiB in it, full or not: a file system in memory, in a mount namespace that
/// vanishes with the program. An ordinary user needs a user namespace besides.
pub fn run_in(folder: &Path, fill: bool, args: &[&str]) -> Finished {
    let script = format!(
        "mount -t tmpfs -o size=1m none \"$0\" && {} exec \"$@\"",
        if fill { "{ cat /dev/zero >\"$0/fill\" 2>/dev/null; true; } &&" } else { "" }
    );
    let is_root = rustix::process::geteuid().is_root() && ordinary::folder().is_none();
    let user: &[&str] = if is_root { &[] } else { &["--user", "--map-root-user"] };
    let mut command = Command::new("unshare");
    command.args(user).args(["--mount", "sh", "-c", &script]).arg(folder).arg(build::program()).args(args);
    command.env("XDG_CACHE_HOME", if fill { folder.to_owned() } else { build::cache() });
    Run::new(command).run()
}
