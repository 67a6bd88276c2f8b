//! What runs, in which order, and what is printed.

use std::io::{BufRead, BufReader};
use std::time::Instant;

use rustix::process::Signal;
use serde_json::json;

use super::{Folder, sorted, started};
use crate::support::{finish, processes, wat};

#[test]
fn a_folder_of_files_becomes_a_batch_of_many_modules() {
    let manifest = format!(
        "[[task]]\nname = \"read\"\nmodule = \"GUESTS\"\ntask = \"read_file\"\nargs = [\"/in/{{file/}}.txt\"]\n\
         matrix = {{ file = {{ glob = \"in/*.txt\" }} }}\n\
         dirs = [{{ host = \"in\", guest = \"/in\", mode = \"ro\" }}]\n\
         [[task]]\nname = \"args\"\nmodule = \"{}\"\ncommand = [\"{{n}}\", \"x{{n}}\"]\nmatrix.n = {{ from = 1, to = 2 }}\n\
         [[task]]\nname = \"cat\"\nmodule = \"{}\"\nstdin = \"{{file}}\"\nmatrix.file.glob = \"in/*.txt\"\n\
         [[task]]\nname = \"line\"\nmodule = \"GUESTS\"\ntask = \"divide\"\nfrom = \"lines.jsonl\"\nstarmap = true\n",
        wat("arguments"),
        wat("cat")
    );
    let folder = Folder::new(&manifest.replace("{file/}.txt", "{file/.}.txt"))
        .with("in/a.txt", "alpha")
        .with("in/b.txt", "beta\ngamma")
        .with("lines.jsonl", "[6, 3]\n[1, 0]\n\n[7, 2]\n");
    let ended = folder.batch(&[]).run().expect(100);
    let expected = [
        "args(1)| 1 x1",
        "args(2)| 2 x2",
        "cat(in/a.txt)| alpha",
        "cat(in/b.txt)| beta",
        "cat(in/b.txt)| gamma",
        "line#1: 2",
        "line#3: 3",
        "read(in/a.txt): \"alpha\"",
        "read(in/b.txt): \"beta\\ngamma\"",
    ];
    assert_eq!(sorted(&ended), expected);
    assert!(ended.stderr.contains("line#2: "), "{}", ended.stderr);
    assert!(ended.stderr.contains("8 succeeded, 1 failed"), "{}", ended.stderr);
}

#[test]
fn tasks_start_by_priority_and_after_what_they_depend_on() {
    let task = |name: &str, keys: &str| {
        format!(
            "[[task]]\nname = \"{name}\"\nmodule = \"GUESTS\"\ntask = \"echo_json\"\nargs = [1]\n{keys}\n"
        )
    };
    let manifest = [
        task("last", "after = [\"middle\"]\npriority = 9"),
        task("middle", "after = [\"first\"]"),
        task("first", ""),
        task("urgent", "priority = 5"),
    ]
    .concat();
    let folder = Folder::new(&manifest);
    let ended = folder.batch(&["-j", "1", "--format", "jsonl"]).run().expect(0);
    assert_eq!(started(&ended), ["urgent", "first", "middle", "last"]);
}

#[test]
fn a_manifest_has_pipes_calls_of_exports_and_its_own_sandbox() {
    let manifest = format!(
        "[pipes.talk]\ncapacity = 4\n\
         [[task]]\nname = \"ask\"\nmodule = \"GUESTS\"\ntask = \"{}\"\nargs = [\"talk.0\", 3]\nshared = [\"talk.0\"]\n\
         [[task]]\nname = \"answer\"\nmodule = \"GUESTS\"\ntask = \"use_connection\"\nargs = [\"talk.1\"]\nshared = [\"talk.1\"]\n\
         [[task]]\nname = \"add\"\nmodule = \"{}\"\ninvoke = \"double({{n}})\"\nmatrix.n = [1, 5]\nsandbox = \"off\"\n",
        "ask_connection",
        wat("typed")
    );
    let folder = Folder::new(&manifest);
    let ended = folder.batch(&["-j", "2"]).run().expect(0);
    assert_eq!(sorted(&ended), ["add(1): 2", "add(5): 10", "answer: 3", "ask: [\"0\",\"1\",\"2\"]"]);
    assert!(ended.stderr.contains("`sandbox = \"off\"` of `add` is not a sandbox"), "{}", ended.stderr);
    let layers = |options: &[&str], name: &str| {
        let records = folder.batch(options).run().expect(0).records();
        records.iter().find(|record| record["name"] == name).expect("it ran")["layers"].clone()
    };
    let has_filter =
        |layers: serde_json::Value| layers.as_array().expect("layers").contains(&json!("seccomp"));
    assert!(!has_filter(layers(&["--format", "jsonl"], "add(1)")));
    assert!(has_filter(layers(&["--format", "jsonl"], "ask")));
    // What was typed counts more than what the manifest says.
    assert!(has_filter(layers(&["--format", "jsonl", "--sandbox", "required"], "add(1)")));
    let shown = folder.batch(&["--dry-run"]).run().expect(0).stdout;
    assert!(shown.contains("double of") && shown.contains("WITHOUT A SANDBOX"), "{shown}");
    assert!(shown.contains("add(5) double(5)") && shown.contains("shared talk.0"), "{shown}");
}

#[test]
fn a_manifest_says_how_often_a_task_may_take_its_worker_with_it() {
    let task = |name: &str, keys: &str| {
        format!(
            "[[task]]\nname = \"{name}\"\nmodule = \"GUESTS\"\ntask = \"fail_if\"\nargs = [1, 1]\nretries = 2\n{keys}\n"
        )
    };
    let manifest = task("at_once", "retry_delay = \"0\"") + &task("crashes_only", "retry_on = [\"crash\"]");
    let ended = Folder::new(&manifest).batch(&["--format", "jsonl"]).run().expect(100);
    let attempts = |name: &str| {
        let records = ended.records();
        records.iter().find(|record| record["name"] == name).expect("it ran")["attempt"].clone()
    };
    assert_eq!((attempts("at_once"), attempts("crashes_only")), (json!(3), json!(1)));
}

#[test]
fn what_depends_on_a_failed_task_is_not_run_and_names_it() {
    let manifest = "[[task]]\nname = \"prepare\"\nmodule = \"GUESTS\"\ntask = \"fail_if\"\nargs = [\"{n}\", 2]\n\
         matrix.n = [1, 2]\n\
         [[task]]\nname = \"train\"\nmodule = \"GUESTS\"\ntask = \"echo_json\"\nargs = [\"{n}\"]\nafter = [\"prepare\"]\n\
         matrix.n = [1, 2, 3]\n\
         [[task]]\nname = \"publish\"\nmodule = \"GUESTS\"\ntask = \"echo_json\"\nargs = [1]\nafter = [\"train\"]\n\
         [[task]]\nname = \"other\"\nmodule = \"GUESTS\"\ntask = \"echo_json\"\nargs = [1]\n";
    let ended = Folder::new(manifest).batch(&["--format", "jsonl"]).run().expect(100);
    let of = |name: &str| {
        let records = ended.records();
        let record =
            records.iter().find(|record| record["name"] == name).unwrap_or_else(|| panic!("{name}")).clone();
        (record["exit_code"].clone(), record["error"].as_str().unwrap_or_default().to_owned())
    };
    for train in ["train(1)", "train(2)", "train(3)"] {
        assert_eq!(of(train).0, json!(234));
        assert!(of(train).1.contains("`prepare(2)`"), "{:?}", of(train));
    }
    assert!(of("publish").1.contains("`train("), "{:?}", of("publish"));
    assert_eq!(of("other").0, json!(0));
    assert_eq!(ended.records().len(), 7);
}

#[test]
fn a_group_bounds_what_runs_at_one_time() {
    let manifest = "[groups.one]\nmax_parallel = 1\n\
         [[task]]\nname = \"a\"\nmodule = \"GUESTS\"\ntask = \"burn_ms\"\nargs = [\"{ms}\"]\nmatrix.ms = [31, 32]\ngroup = \"one\"\n\
         [[task]]\nname = \"b\"\nmodule = \"GUESTS\"\ntask = \"burn_ms\"\nargs = [\"{ms}\"]\nmatrix.ms = [31, 32]\ngroup = \"one\"\n";
    let ended = Folder::new(manifest).batch(&["-j", "4", "--format", "jsonl"]).run().expect(0);
    let mut spans: Vec<(f64, f64)> = Vec::new();
    for record in ended.records() {
        let number = |field: &str| record[field].as_f64().unwrap_or_else(|| panic!("{field} is a number"));
        let start = number("started_at");
        spans.push((start, start + number("wall_ms") / 1e3));
    }
    spans.sort_by(|one, other| one.0.total_cmp(&other.0));
    assert_eq!(spans.len(), 4);
    // The two are read from different clocks: what overlapped would do so by most of 30 ms.
    assert!(spans.windows(2).all(|pair| pair[0].1 <= pair[1].0 + 0.015), "{spans:?}");
}

#[test]
fn the_memory_budget_bounds_what_runs_at_one_time_and_says_so() {
    let manifest = "[defaults]\nmax_memory = \"64MiB\"\n\
         [[task]]\nname = \"a\"\nmodule = \"GUESTS\"\ntask = \"burn_ms\"\nargs = [\"{ms}\"]\nmatrix.ms = [31, 32, 33]\n";
    let folder = Folder::new(manifest);
    let ended = folder.batch(&["-j", "3", "--memory-budget", "100MiB", "--format", "jsonl"]).run().expect(0);
    assert!(ended.stderr.contains("the memory budget of 100MiB lets 1 of 3 workers run"), "{}", ended.stderr);
    let mut starts: Vec<f64> =
        ended.records().iter().filter_map(|record| record["started_at"].as_f64()).collect();
    starts.sort_by(f64::total_cmp);
    assert!(starts.windows(2).all(|pair| pair[1] - pair[0] >= 0.025), "{starts:?}");
}

#[test]
fn tasks_share_what_they_name_and_nothing_else() {
    let manifest = "[queues.jobs]\ncapacity = 4\n[locks.disk]\n[values.total]\ninitial = 40\n\
         [[task]]\nname = \"put\"\nmodule = \"GUESTS\"\ntask = \"put_many\"\nargs = [\"jobs\", 10]\nshared = [\"jobs\"]\n\
         [[task]]\nname = \"take\"\nmodule = \"GUESTS\"\ntask = \"take_many\"\nargs = [\"jobs\", 10]\nshared = [\"jobs\"]\n\
         [[task]]\nname = \"add\"\nmodule = \"GUESTS\"\ntask = \"increments\"\nargs = [\"disk\", \"total\", 2]\n\
         shared = [\"disk\", \"total\"]\n\
         [[task]]\nname = \"stranger\"\nmodule = \"GUESTS\"\ntask = \"take_many\"\nargs = [\"jobs\", 1]\nshared = [\"disk\"]\n";
    let ended = Folder::new(manifest).batch(&["-j", "2"]).run().expect(100);
    let lines = sorted(&ended);
    assert_eq!(lines.len(), 3, "{lines:?} {}", ended.stderr);
    assert!(ended.stderr.contains("stranger: "), "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().filter(|line| line.contains(": ") && !line.contains("tasks")).count(), 2);
}

#[test]
fn a_daemon_takes_no_worker_and_ends_with_the_batch() {
    let manifest = "[[task]]\nname = \"server\"\nmodule = \"GUESTS\"\ntask = \"ignore_cancelled\"\ndaemon = true\n\
         grace_period = \"100ms\"\n\
         [[task]]\nname = \"client\"\nmodule = \"GUESTS\"\ntask = \"echo_json\"\nargs = [\"{n}\"]\nmatrix.n = [1, 2, 3]\n";
    let ended = Folder::new(manifest).batch(&["-j", "1", "--format", "jsonl"]).run().expect(0);
    let mut outcomes: Vec<(String, u64)> = Vec::new();
    for record in ended.records() {
        let name = record["name"].as_str().expect("a name").to_owned();
        outcomes.push((name, record["exit_code"].as_u64().expect("a code")));
    }
    let (last, others) = outcomes.split_last().expect("records");
    assert_eq!(last, &("server".to_owned(), 231));
    assert!(others.len() == 3 && others.iter().all(|(_, code)| *code == 0), "{outcomes:?}");
}

#[test]
fn a_daemon_that_fails_is_told_and_counts() {
    let manifest = "[events.never]\n\
         [[task]]\nname = \"server\"\nmodule = \"GUESTS\"\ntask = \"fail\"\nargs = [\"no port\"]\ndaemon = true\n\
         [[task]]\nname = \"client\"\nmodule = \"GUESTS\"\ntask = \"burn_ms\"\nargs = [300]\nshared = [\"never\"]\n";
    let ended = Folder::new(manifest).batch(&[]).run().expect(100);
    assert!(ended.stderr.contains("the daemon `server` ended before the batch: no port"), "{}", ended.stderr);
    assert_eq!(ended.lines().len(), 1);
}

/// Runs `add` so many hundred times; the program's peak memory in KiB, when all of it was printed.
fn peak_of_hundreds(count: u32, options: &[&str]) -> u64 {
    let manifest = format!(
        "[[task]]\nname = \"add\"\nmodule = \"GUESTS\"\ntask = \"add\"\nargs = [\"{{a}}\", \"{{b}}\"]\n\
         matrix = {{ a = {{ from = 1, to = {count} }}, b = {{ from = 1, to = 100 }} }}\n\
         [[task]]\nname = \"end\"\nmodule = \"GUESTS\"\ntask = \"spin\"\nafter = [\"add\"]\n"
    );
    let folder = Folder::new(&manifest);
    let mut child = folder.batch(&[&["--chunksize", "500"], options].concat()).start();
    let stdout = child.stdout.take().expect("stdout is piped");
    let lines = BufReader::new(stdout).lines().take(count as usize * 100);
    assert_eq!(
        lines.filter(|line| line.as_ref().is_ok_and(|line| line.starts_with("add("))).count() as u32,
        count * 100
    );
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).expect("it spins");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    for _ in 0..2 {
        processes::signal(child.id(), Signal::TERM);
    }
    finish(child, Instant::now()).expect(143);
    peak.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// T15: tasks are made when they can run, and nothing of them is kept.
#[test]
fn a_hundred_thousand_tasks_cost_the_memory_of_a_thousand() {
    let (small, large) = (peak_of_hundreds(10, &[]), peak_of_hundreds(1000, &[]));
    let growth = large.saturating_sub(small);
    assert!(growth < 64 * 1024, "{growth} KiB more for 99 000 tasks more");
}

/// The same with every report: their pieces go to files while tasks run.
#[test]
fn reports_about_a_hundred_thousand_tasks_cost_little_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (json, junit, html, trace) = (path("r.json"), path("r.xml"), path("r.html"), path("t.json"));
    let options = ["--report", &json, "--report", &junit, "--report", &html, "--trace", &trace];
    let (small, large) = (peak_of_hundreds(10, &options), peak_of_hundreds(1000, &options));
    let growth = large.saturating_sub(small);
    assert!(growth < 64 * 1024, "{growth} KiB more for 99 000 tasks more");
    let attempts = std::fs::read_to_string(json).expect("a report").matches("\"seq\":").count();
    assert_eq!(attempts, 100_001);
}
