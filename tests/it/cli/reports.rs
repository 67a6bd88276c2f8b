//! `--report` and `--trace`: files about a whole batch, also one that ended early, and what a browser makes of the page.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{guests, mebibyte, ordinary, wasmpool, wat};

/// A folder that reports are written to.
struct Reports(TempDir);

impl Reports {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        ordinary::give(folder.path());
        Self(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.text(name)).expect("JSON")
    }

    /// The names of the files, hidden ones too.
    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).expect("a folder").flatten();
        let mut names: Vec<_> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// What a browser has made of the page, opened with this behind its address: the elements as text.
    fn dom(&self, page: &str, behind: &str, size: &str) -> String {
        let address = format!("file://{}{behind}", self.path(page));
        let output = browser(self.0.path(), size).args(["--dump-dom", &address]).output();
        let output = output.expect("chromium starts: `.ci/run` installs it");
        let dom = String::from_utf8(output.stdout).expect("text");
        assert!(
            dom.contains("data-found="),
            "the script ran: {dom}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        // What follows is data and script.
        dom.split("<script").next().unwrap_or_default().to_owned()
    }
}

/// Headless Chromium with a profile of its own. It does not sandbox itself for root.
fn browser(home: &Path, size: &str) -> Command {
    let mut command = Command::new("chromium");
    let profile = home.join("browser");
    command.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
    ]);
    command.arg(format!("--user-data-dir={}", profile.display())).arg(format!("--window-size={size}"));
    command.env("HOME", home);
    command
}

#[test]
fn each_kind_is_written_and_results_are_what_they_were() {
    let reports = Reports::new();
    let (json, junit, html, trace) =
        (reports.path("r.json"), reports.path("r.xml"), reports.path("r.html"), reports.path("t.json"));
    let line = ["map", guests(), "-t", "fail_if", "--starmap", "[1,2]", "[2,2]", "[3,2]", "[\"x\"]"];
    let files = ["--report", &json, "--report", &junit, "--report", &html, "--trace", &trace];
    let from = [&line[..8], &files[..]].concat();
    let ended = wasmpool(from).run().expect(100);
    assert_eq!(ended.lines(), ["1", "3"]);
    assert_eq!(reports.files(), ["r.html", "r.json", "r.xml", "t.json"]);
    let json = reports.json("r.json");
    assert_eq!((&json["format"], &json["run"]["exit_code"]), (&"wasmpool-report".into(), &100.into()));
    assert_eq!((&json["summary"]["total"], &json["summary"]["failed"]), (&3.into(), &1.into()));
    let attempts = json["attempts"].as_array().expect("a list");
    assert_eq!(attempts.len(), 3);
    for field in
        ["seq", "name", "outcome", "started_at", "queued_at", "worker", "layers", "group", "slot", "last"]
    {
        assert!(!attempts[0][field].is_null(), "{field} is told");
    }
    let junit = reports.text("r.xml");
    assert!(
        junit.contains(r#"<testsuite name="fail_if" tests="3" failures="1" errors="0" skipped="0""#),
        "{junit}"
    );
    assert!(junit.contains(r#"<failure type="failed" message="2 is bad">"#), "{junit}");
    let trace = reports.json("t.json");
    let events = trace["traceEvents"].as_array().expect("a list");
    assert_eq!(events.iter().filter(|event| event["ph"] == "X").count(), 3);
}

#[test]
fn inputs_that_are_no_tasks_are_in_the_reports_too() {
    let reports = Reports::new();
    let (json, junit) = (reports.path("r.json"), reports.path("r.xml"));
    let line =
        ["map", guests(), "-t", "fail_if", "--starmap", "--from", "-", "--report", &json, "--report", &junit];
    wasmpool(line).stdin("[1,2]\n{bad\n").run().expect(100);
    let json = reports.json("r.json");
    let bad = json["attempts"].as_array().expect("a list").iter().find(|attempt| attempt["seq"] == 2);
    assert!(bad.is_some_and(|bad| bad["exit_code"] == 246 && bad["attempt"] == 0), "{json}");
    assert!(reports.text("r.xml").contains("<error type=\"not_run\""));
}

#[test]
fn a_batch_has_a_suite_for_each_entry_and_tells_flaky_tasks_from_failed_ones() {
    let reports = Reports::new();
    let manifest = format!(
        "[[task]]\nname = \"a\"\nmodule = '{0}'\ntask = \"fail_if\"\nargs = [\"{{v}}\", 2]\nmatrix = {{ v = [1, 2] }}\n\
         [[task]]\nname = \"b\"\nmodule = '{0}'\ntask = \"fail_if\"\nargs = [1, 2]\nafter = [\"a\"]\n",
        guests()
    );
    std::fs::write(reports.path("batch.toml"), manifest).expect("a file");
    ordinary::give(reports.0.path());
    let (json, junit, manifest) = (reports.path("r.json"), reports.path("r.xml"), reports.path("batch.toml"));
    let line =
        ["batch", "--retries", "1", "--retry-delay", "0", "--report", &json, "--report", &junit, &manifest];
    let ended = wasmpool(line).run().expect(100);
    assert!(
        ended.stderr.contains("tried again:\n  a(2): 2 attempts, then 2 is bad (code 1)\n"),
        "{}",
        ended.stderr
    );
    let junit = reports.text("r.xml");
    assert!(junit.contains(r#"<testsuite name="a" tests="2" failures="1""#), "{junit}");
    assert!(
        junit.contains(r#"<testsuite name="b" tests="1" failures="0" errors="0" skipped="1""#),
        "{junit}"
    );
    assert!(junit.contains("<rerunFailure "), "{junit}");
    let json = reports.json("r.json");
    assert_eq!((&json["summary"]["attempts"], &json["summary"]["retried"]), (&4.into(), &1.into()));
}

#[test]
fn a_halted_batch_has_reports_that_say_so() {
    let reports = Reports::new();
    let (json, junit, html) = (reports.path("r.json"), reports.path("r.xml"), reports.path("r.html"));
    let line =
        ["map", guests(), "-t", "fail_if", "--starmap", "--from", "-", "--halt", "soon,fail=1", "-j", "1"];
    let files = ["--report", &json, "--report", &junit, "--report", &html];
    let inputs = "[2,2]\n".to_owned() + &"[1,2]\n".repeat(100);
    wasmpool([&line[..], &files].concat()).stdin(inputs).run().expect(106);
    let json = reports.json("r.json");
    assert_eq!((&json["run"]["interruption"], &json["run"]["exit_code"]), (&"halted".into(), &106.into()));
    assert!(reports.text("r.xml").contains(r#"name="wasmpool.interruption" value="halted""#));
    assert!(reports.text("r.html").contains(r#""interruption":"halted""#));
}

#[test]
fn what_cannot_be_written_is_told_before_anything_runs() {
    let reports = Reports::new();
    let (twice, missing, folder) =
        (reports.path("r.json"), reports.path("no/r.json"), reports.path("f.json"));
    std::fs::create_dir(&folder).expect("a folder");
    let line =
        |options: &[&str]| wasmpool([&["map", guests(), "-t", "fail_if"], options, &["[1,2]"]].concat());
    let unknown = line(&["--report", "r.txt"]).run().expect(2);
    assert!(unknown.stderr.contains(".json, .xml (JUnit) or .html"), "{}", unknown.stderr);
    let ended = line(&["--report", &twice, "--trace", &twice, "--starmap"]).run().expect(2);
    assert!(ended.stderr.contains("give each a file of its own"), "{}", ended.stderr);
    for path in [&missing, &folder] {
        let ended = line(&["--report", path, "--starmap"]).run().expect(96);
        assert!(ended.stderr.contains(&format!("cannot write the report `{path}`")), "{}", ended.stderr);
        assert_eq!(ended.stdout, "", "nothing ran");
    }
    assert_eq!(reports.files(), ["f.json"]);
}

/// FAULTS 26: who asked for the report is told, and the results are all there.
#[test]
fn a_report_on_a_full_disk_is_told_and_results_are_intact() {
    let place = Reports::new();
    let disk = place.0.path().join("disk");
    std::fs::create_dir(&disk).expect("a folder");
    ordinary::give(place.0.path());
    let input = place.0.path().join("input");
    std::fs::write(&input, vec![b'x'; 700_000]).expect("a file");
    let (stdin, json, html) =
        (input.display().to_string(), disk.join("r.json").display().to_string(), place.path("r.html"));
    let line =
        ["map", "--stdin", &stdin, "--report", &json, "--report", &html, &wat("cat"), "a", "b", "--", "{}"];
    let ended = mebibyte::run_in(&disk, false, &line).expect(106);
    assert_eq!(ended.stdout.len() / 700_000, 2, "{}", ended.stderr);
    let told = format!("error: cannot write the report `{json}`: No space left on device (os error 28)");
    assert!(ended.stderr.lines().any(|line| line == told), "{}", ended.stderr);
    assert!(place.text("r.html").contains("\"rows\":"), "the other report is whole");
}

/// A device is written to, not replaced.
#[test]
fn a_report_may_go_to_a_device() {
    let reports = Reports::new();
    let full = reports.path("full.json");
    std::os::unix::fs::symlink("/dev/full", &full).expect("a link");
    let line = ["map", guests(), "-t", "fail_if", "--starmap", "--report", &full, "[1,2]"];
    let ended = wasmpool(line).run().expect(106);
    assert_eq!(ended.lines(), ["1"]);
    assert!(ended.stderr.contains("cannot write the report"), "{}", ended.stderr);
    assert!(std::fs::symlink_metadata(&full).expect("a link").is_symlink());
}

/// The page in a real browser: the timeline, the table, filters from the address; and what a guest says is only text.
#[test]
fn the_page_shows_the_timeline_and_filters_in_a_browser() {
    let reports = Reports::new();
    let html = reports.path("r.html");
    let hostile =
        "<img src=x onerror=document.title='owned'></script><script>document.title='owned'</script>";
    let manifest = format!(
        "[[task]]\nname = \"a\"\nmodule = '{0}'\ntask = \"fail_if\"\nargs = [\"{{v}}\", 2]\nmatrix = {{ v = {{ from = 1, to = 20 }} }}\n\
         [[task]]\nname = \"b\"\nmodule = '{0}'\ntask = \"fail\"\nargs = [\"{hostile}\"]\n",
        guests()
    );
    std::fs::write(reports.path("batch.toml"), manifest).expect("a file");
    ordinary::give(reports.0.path());
    let manifest = reports.path("batch.toml");
    wasmpool(["batch", "--report", &html, &manifest]).run().expect(100);
    let all = reports.dom("r.html", "", "1280,1600");
    let count = |dom: &str, what: &str| dom.matches(what).count();
    assert_eq!(
        count(&all, "class=\"task passed\"") + count(&all, "class=\"task failed\""),
        21,
        "a bar for each"
    );
    assert_eq!((count(&all, "class=\"row\""), count(&all, "data-slots=")), (21, 1));
    assert!(all.contains("<title>Failed: "), "the script ran to its end and nobody else's did");
    assert!(all.contains("&lt;img src=x onerror=") && !all.contains("<img"), "{all}");
    let failed = reports.dom("r.html", "#outcome=failed", "1280,1600");
    assert_eq!((count(&failed, "data-class=\"failed\" data-seq="), count(&failed, "class=\"row\"")), (2, 2));
    assert!(failed.contains("2 attempts of 21."), "{failed}");
    let found = reports.dom("r.html", "#text=a(17&sort=-wall_ms", "1280,1600");
    assert_eq!((count(&found, "class=\"row\""), count(&found, "aria-sort=\"descending\"")), (1, 1));
    let chosen = reports.dom("r.html", "#task=0", "400,900");
    assert_eq!((count(&chosen, "row chosen"), count(&chosen, "class=\"detail\"")), (1, 1));
    // It is drawn, too.
    let (picture, address) = (reports.path("page.png"), format!("file://{html}"));
    let drawn =
        browser(reports.0.path(), "1280,1600").arg(format!("--screenshot={picture}")).arg(address).output();
    assert!(drawn.expect("chromium starts").status.success());
    assert!(std::fs::metadata(&picture).expect("a picture").len() > 20_000);
}
