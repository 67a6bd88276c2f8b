//! How batches end early, and begin again.

use std::io::{BufRead, BufReader};
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::Folder;
use crate::support::{finish, processes};

const PATIENCE: Duration = Duration::from_secs(60);

const TEN: &str = "[[task]]\nname = \"ten\"\nmodule = \"GUESTS\"\ntask = \"fail_if\"\nargs = [\"{n}\", 3]\n\
     matrix.n = { from = 1, to = 10 }\n\
     [[task]]\nname = \"after\"\nmodule = \"GUESTS\"\ntask = \"nothing\"\npriority = -1\n";

#[test]
fn a_batch_that_halts_lists_what_was_not_run() {
    for options in [&["--max-fail", "1"], &["--halt", "now,fail=1"], &["--halt", "soon,fail=5%"]] {
        let ended = Folder::new(TEN).batch(&[&["-j", "1"], &options[..]].concat()).run().expect(106);
        for line in ["ten(1): 1\n", "ten(2): 2\n"] {
            assert!(ended.stdout.contains(line), "{}", ended.stdout);
        }
        assert!(ended.stderr.contains("halted: "), "{}", ended.stderr);
        let list =
            ended.stderr.lines().find(|line| line.starts_with("not run to the end: ")).expect("a list");
        assert!(list.contains("ten ("), "{list}");
        assert!(list.ends_with(", after"), "{list}");
    }
    // Eleven tasks, of which one in ten is more than one.
    let ended = Folder::new(TEN).batch(&["--halt", "soon,fail=10%"]).run().expect(100);
    assert_eq!(ended.lines().len(), 10);
}

#[test]
fn the_manifest_may_say_when_it_halts_and_the_command_line_counts_more() {
    let manifest = format!("[batch]\nhalt = \"soon,fail=1\"\nworkers = 1\n{TEN}");
    Folder::new(&manifest).batch(&[]).run().expect(106);
    Folder::new(&manifest).batch(&["--halt", "soon,fail=2"]).run().expect(100);
}

/// Waits until a line of standard error has this in it; what comes later is read and thrown away.
fn wait_for(child: &mut Child, wanted: &str) {
    let stderr = child.stderr.take().expect("stderr is piped");
    let mut lines = BufReader::new(stderr).lines();
    let found = lines.by_ref().any(|line| line.is_ok_and(|line| line.contains(wanted)));
    assert!(found, "`{wanted}` was not printed");
    std::thread::spawn(move || lines.for_each(drop));
}

#[test]
fn the_first_ctrl_c_lists_what_was_not_run_and_ends_with_130() {
    let manifest = "[[task]]\nname = \"spin\"\nmodule = \"GUESTS\"\ntask = \"ignore_cancelled\"\ngrace_period = \"100ms\"\n\
         [[task]]\nname = \"later\"\nmodule = \"GUESTS\"\ntask = \"nothing\"\nafter = [\"spin\"]\n";
    let folder = Folder::new(manifest);
    let mut child = folder.batch(&["-j", "1"]).start();
    processes::wait_until("it has workers", PATIENCE, || processes::children(child.id()).len() > 1);
    processes::signal(child.id(), Signal::INT);
    wait_for(&mut child, "not run to the end: ");
    assert_eq!(finish(child, Instant::now()).code, Some(130));
}

#[test]
fn daemons_end_with_a_batch_that_is_interrupted() {
    let task = |name: &str, keys: &str| {
        format!(
            "[[task]]\nname = \"{name}\"\nmodule = \"GUESTS\"\ntask = \"ignore_cancelled\"\ngrace_period = \"100ms\"\n{keys}\n"
        )
    };
    let manifest = [task("daemon", "daemon = true"), task("task", "")].concat();
    let folder = Folder::new(&manifest);
    let child = folder.batch(&[]).start();
    processes::wait_until("it has workers", PATIENCE, || processes::children(child.id()).len() > 2);
    processes::signal(child.id(), Signal::TERM);
    finish(child, Instant::now()).expect(143);
}

#[test]
fn a_watched_batch_runs_again_when_a_file_of_it_changes() {
    let manifest = "[[task]]\nname = \"read\"\nmodule = \"GUESTS\"\ntask = \"read_file\"\nargs = [\"/{file}\"]\n\
         matrix.file.glob = \"in/*.txt\"\ndirs = [{ host = \"in\", guest = \"/in\", mode = \"ro\" }]\n";
    let folder = Folder::new(manifest).with("in/a.txt", "one");
    let mut child = folder.batch(&["--watch"]).start();
    let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
    let mut next = move || lines.next().expect("a line").expect("text");
    assert_eq!(next(), "read(in/a.txt): \"one\"");
    folder.write("in/a.txt", "two");
    assert_eq!(next(), "read(in/a.txt): \"two\"");
    // A file that the pattern finds besides, and then a manifest with a mistake that is put right.
    folder.write("in/b.txt", "three");
    let mut both = [next(), next()];
    both.sort_unstable();
    assert_eq!(both, ["read(in/a.txt): \"two\"", "read(in/b.txt): \"three\""]);
    let manifest = manifest.replace("GUESTS", crate::support::guests());
    folder.write("batch.toml", &manifest.replace("task =", "tusk ="));
    wait_for(&mut child, "did you mean `task`?");
    folder.write("batch.toml", &manifest.replace("in/*.txt", "in/b.txt"));
    assert_eq!(next(), "read(in/b.txt): \"three\"");
    processes::signal(child.id(), Signal::INT);
    assert_eq!(finish(child, Instant::now()).code, Some(130));
}
