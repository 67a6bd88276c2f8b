//! What is checked and shown before anything runs.

use serde_json::json;

use super::Folder;
use crate::support::wasmpool;

const SMALL: &str = "[queues.jobs]\ncapacity = 4\n\
     [groups.disk]\nmax_parallel = 2\n\
     [defaults]\ntimeout = \"10s\"\nmax_memory = \"64MiB\"\n\
     [[task]]\nname = \"write\"\nmodule = \"GUESTS\"\ntask = \"write_file\"\nargs = [\"/out/{n}.txt\", \"x\"]\n\
     matrix.n = { from = 1, to = 30 }\ngroup = \"disk\"\nretries = 1\nretry_on = [\"timeout\"]\n\
     dirs = [{ host = \"out\", guest = \"/out\", mode = \"rw\" }]\nenv = { LANG = \"C\" }\nshared = [\"jobs\"]\n\
     [[task]]\nname = \"end\"\nmodule = \"GUESTS\"\ntask = \"nothing\"\nafter = [\"write\"]\ntimeout = \"3s\"\n";

#[test]
fn a_dry_run_shows_every_task_with_what_it_may_touch_and_runs_none() {
    let folder = Folder::new(SMALL).with("out/keep", "");
    let ended = folder.batch(&["--dry-run", "--timeout", "7s", "--init-timeout", "8s"]).run().expect(0);
    let out = folder.path().join("out").canonicalize().expect("a folder").display().to_string();
    for shown in [
        "write\n",
        "task write_file of ",
        "group disk (at most 2 at a time), tried again once after timeout",
        "memory 64MiB, time 7s,",
        "initialisation 8s",
        &format!("directory {out} as /out (read and write)"),
        "variable LANG=C",
        "shared jobs",
        "30 tasks",
        "write(10) [\"/out/10.txt\",\"x\"]",
        "and 20 more",
        "after      write",
        "time 3s",
        "may touch  nothing",
    ] {
        assert!(ended.stdout.contains(shown), "{shown} is missing: {}", ended.stdout);
    }
    assert!(!folder.path().join("out/1.txt").exists());
}

#[test]
fn a_dry_run_for_programs_is_a_line_for_each_task() {
    let folder = Folder::new(SMALL).with("out/keep", "");
    let ended = folder.batch(&["--dry-run", "--format", "json"]).run().expect(0);
    let records = ended.records();
    assert_eq!(records.len(), 31);
    let third = &records[2];
    assert_eq!((&third["name"], &third["entry"]), (&json!("write(3)"), &json!("write")));
    assert_eq!(third["args"], json!(["/out/3.txt", "x"]));
    assert_eq!(third["limits"]["memory_bytes"], json!(64 << 20));
    assert_eq!(third["limits"]["init_timeout_ms"], json!(60_000));
    assert_eq!(third["grants"]["dirs"][0]["mode"], json!("rw"));
    assert_eq!(third["grants"]["shared"], json!(["jobs"]));
    assert_eq!(third["sha256"].as_str().map(str::len), Some(64));
    assert_eq!(records[30]["after"], json!(["write"]));
}

#[test]
fn only_and_skip_choose_single_tasks_and_what_is_left_out_counts_as_done() {
    let folder = Folder::new(SMALL).with("out/keep", "");
    let options = ["--only", "write(?)", "--only", "end", "--skip", "write([4-9])"];
    let ended = folder.batch(&options).run().expect(0);
    assert_eq!(ended.lines().len(), 4, "{}", ended.stdout);
    assert_eq!(std::fs::read_dir(folder.path().join("out")).expect("a folder").count(), 4);

    let ended = folder.batch(&["--only", "end"]).run().expect(0);
    assert_eq!(ended.stdout, "end: null\n");
    assert!(ended.stderr.contains("`write` is left out, and counts as done for `end`"), "{}", ended.stderr);

    let ended = folder.batch(&["--only", "wirte"]).run().expect(2);
    assert!(ended.stderr.contains("the tasks are write, end"), "{}", ended.stderr);
}

#[test]
fn a_mistake_ends_with_2_and_shows_its_line() {
    let folder = Folder::new("[[task]]\nname = \"a\"\nmodule = \"GUESTS\"\ntask = \"ad\"\nargs = [1, 2]\n");
    let ended = folder.batch(&[]).run().expect(2);
    for shown in [
        "batch.toml:4:8: ",
        "has no task or export `ad`, did you mean `add`?",
        "4 | task = \"ad\"",
        "  |        ^^^^",
    ] {
        assert!(ended.stderr.contains(shown), "{shown} is missing: {}", ended.stderr);
    }
    assert_eq!(ended.stdout, "");
}

#[test]
fn everything_that_cannot_be_had_is_told_at_once() {
    let manifest = "[[task]]\nname = \"a\"\nmodule = \"GUESTS\"\ntask = \"nothing\"\n\
         dirs = [{ host = \"missing\", mode = \"ro\" }]\nenv = { NO_SUCH_VARIABLE_HERE = true }\nstdin = \"none.txt\"\n\
         [[task]]\nname = \"b\"\nmodule = \"GUESTS\"\ntask = \"read_stdin\"\nenv_files = [\"none.env\"]\n";
    let ended = Folder::new(manifest).batch(&["--dry-run"]).run().expect(2);
    assert!(ended.stderr.contains("batch.toml:7:9: cannot read `none.txt`"), "{}", ended.stderr);
    assert!(ended.stderr.contains("batch.toml:12:14: cannot read `none.env`"), "{}", ended.stderr);

    let manifest = manifest.replace("stdin = \"none.txt\"\n", "").replace("env_files = [\"none.env\"]\n", "");
    let ended = Folder::new(&manifest).batch(&["--dry-run"]).run().expect(2);
    assert!(ended.stderr.contains("batch.toml:5:9: the directory "), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("batch.toml:6:9: there is no variable `NO_SUCH_VARIABLE_HERE`"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_module_that_cannot_run_ends_with_96_and_shows_its_line() {
    let folder = Folder::new(
        "[[task]]\nname = \"a\"\nmodule = \"a.wasm\"\n[[task]]\nname = \"b\"\nmodule = \"b.wasm\"\n",
    )
    .with("b.wasm", "no module");
    let ended = folder.batch(&[]).run().expect(96);
    assert!(ended.stderr.contains("batch.toml:3:10: there is no "), "{}", ended.stderr);
    assert!(ended.stderr.contains("batch.toml:6:10: `b.wasm`: module cannot run: "), "{}", ended.stderr);
}

#[test]
fn a_manifest_that_is_not_there_ends_with_2() {
    let ended = wasmpool(["batch", "no_such_manifest.toml"]).run().expect(2);
    assert!(ended.stderr.contains("cannot read the manifest `no_such_manifest.toml`"), "{}", ended.stderr);
    wasmpool(["batch"]).run().expect(2);
}

#[test]
fn the_schema_is_the_published_one() {
    let published = std::fs::read_to_string(crate::support::build::root().join("host/batch.schema.json"));
    assert_eq!(wasmpool(["batch", "--schema"]).run().expect(0).stdout, published.expect("the schema"));
}
