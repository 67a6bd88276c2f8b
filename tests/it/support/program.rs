//! A typed runner for the command line and the scenarios.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{build, ordinary, processes, terminal};

/// How long any single run may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(120);

/// A run that has ended.
#[derive(Debug)]
pub struct Finished {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub time: Duration,
}

impl Finished {
    /// The lines of standard output.
    pub fn lines(&self) -> Vec<&str> {
        self.stdout.lines().collect()
    }

    /// The records of `--format jsonl`, or what a scenario printed.
    pub fn records(&self) -> Vec<serde_json::Value> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        self.stdout.lines().map(parse).collect()
    }

    /// Fails with everything the run printed unless it ended with this code.
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }
}

/// A run that is being set up.
pub struct Run {
    command: Command,
    stdin: Option<Vec<u8>>,
    /// Must be empty at the end.
    folder: Option<tempfile::TempDir>,
    patience: Duration,
}

/// The `wasmpool` program with these arguments, and an artifact cache that all tests share.
pub fn wasmpool<I: IntoIterator<Item: AsRef<std::ffi::OsStr>>>(args: I) -> Run {
    let mut command = Command::new(build::program());
    // Whoever runs the tests may have a config file.
    command.args(args).env("WASMPOOL_CONFIG", "");
    Run::new(command)
}

/// A scenario of the test host program. It knows the guests, shares an artifact cache with the others,
/// and runs in an empty folder of its own, which must be empty afterwards.
pub fn scenario(name: &str, args: &[&str]) -> Run {
    let mut command = Command::new(build::scenario());
    command.arg(name).args(args);
    let folder = tempfile::tempdir().expect("a folder");
    ordinary::give(folder.path());
    command.current_dir(folder.path()).env("TMPDIR", folder.path());
    let mut run = Run { folder: Some(folder), ..Run::new(command) };
    run.command.env("WASMPOOL_TEST_GUESTS", build::guests()).env("XDG_CACHE_HOME", build::cache());
    run
}

/// A scenario that a plan describes: what it printed, a record for each task.
pub fn plan(plan: &serde_json::Value) -> Vec<serde_json::Value> {
    let mut records = scenario("plan", &[&plan.to_string()]).run().expect(0).records();
    let oracles = records.pop().expect("a last line");
    assert_eq!(oracles["oracles"], "hold");
    records
}

impl Run {
    /// Any program.
    pub fn new(mut command: Command) -> Self {
        processes::adopt_orphans();
        ordinary::dress(&mut command);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command, stdin: None, folder: None, patience: PATIENCE }
    }

    /// Standard input.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.command.stdin(Stdio::piped());
        self.stdin = Some(bytes.into());
        self
    }

    /// Something that is open as standard input.
    pub fn stdin_from(mut self, stdin: impl Into<Stdio>) -> Self {
        self.command.stdin(stdin);
        self
    }

    /// Something that is open as standard output.
    pub fn stdout_to(mut self, stdout: impl Into<Stdio>) -> Self {
        self.command.stdout(stdout);
        self
    }

    /// An environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// No environment variable of this name.
    pub fn unset(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// How long it may take before the test fails.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The folder it runs in.
    pub fn current_dir(mut self, folder: &std::path::Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Starts it with SIGCHLD ignored, which a program inherits.
    pub fn ignoring_sigchld(self) -> Self {
        self.behind("env", &["--ignore-signal=CHLD".as_ref()])
    }

    /// Starts it in the cgroup that this file leads into.
    pub fn entering(self, door: &std::path::Path) -> Self {
        self.behind("sh", &["-c".as_ref(), "echo 0 > \"$0\" && exec \"$@\"".as_ref(), door.as_os_str()])
    }

    /// Has another program start it.
    fn behind(mut self, program: &str, args: &[&std::ffi::OsStr]) -> Self {
        let plain = std::mem::replace(&mut self.command, Command::new(program));
        self.command.args(args).arg(plain.get_program()).args(plain.get_args());
        self.command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(folder) = plain.get_current_dir() {
            self.command.current_dir(folder);
        }
        self.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        self
    }

    /// Starts it; the test goes on.
    pub fn start(mut self) -> Child {
        let mut child = self.command.spawn().expect("the program starts");
        if let Some(bytes) = self.stdin.take() {
            let mut stdin = child.stdin.take().expect("stdin is piped");
            // A program that ends before it read everything is the test's business.
            std::thread::spawn(move || stdin.write_all(&bytes));
        }
        child
    }

    /// Starts it with a terminal of 80 columns as standard output and error; the second answer has what the terminal gets.
    pub fn start_on_terminal(mut self) -> (Child, std::thread::JoinHandle<String>) {
        let (ours, theirs) = terminal::open();
        terminal::resize(&ours, 80, 24);
        let error = theirs.try_clone().expect("a descriptor");
        self.command.stdout(theirs).stderr(error);
        let child = self.command.spawn().expect("the program starts");
        // Else this process would keep the terminal open.
        drop(self);
        let read = || String::from_utf8_lossy(&terminal::read_all(ours)).into_owned();
        (child, std::thread::spawn(read))
    }

    /// Runs it to its end with a terminal as standard output and error: its code, and what the terminal got.
    pub fn run_on_terminal(self) -> (Option<i32>, String) {
        let begun = Instant::now();
        let (child, reader) = self.start_on_terminal();
        let code = finish(child, begun).code;
        (code, reader.join().expect("the terminal is read"))
    }

    /// Runs it to its end, and sees that it left no process behind.
    pub fn run(mut self) -> Finished {
        let begun = Instant::now();
        let (folder, patience) = (self.folder.take(), self.patience);
        let child = self.start();
        let finished = finish_within(child, begun, patience);
        if let Some(folder) = folder {
            let left = std::fs::read_dir(folder.path()).expect("its folder").count();
            assert_eq!(left, 0, "it left files: {}", finished.stderr);
        }
        finished
    }
}

/// Waits for a program that was started, and sees that it left no process behind.
pub fn finish(child: Child, begun: Instant) -> Finished {
    finish_within(child, begun, PATIENCE)
}

fn finish_within(child: Child, begun: Instant, patience: Duration) -> Finished {
    let pid = child.id();
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    let Ok(output) = receiver.recv_timeout(patience) else {
        processes::kill(pid);
        panic!("the program hangs");
    };
    let output = output.expect("the program can be waited for");
    let time = begun.elapsed();
    processes::expect_no_orphans();
    Finished {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        time,
    }
}
