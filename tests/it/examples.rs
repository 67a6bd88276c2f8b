//! Every example, run as its README says.

mod tutorial;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::build::{host_example, root, test_natively};
use crate::support::{Finished, example, processes, program, wasmpool};

/// Runs a host program of `examples/`.
fn host(name: &str, args: &[&str]) -> Finished {
    processes::adopt_orphans();
    let mut command = Command::new(host_example(name));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let (begun, child): (Instant, Child) = (Instant::now(), command.spawn().expect("the program starts"));
    program::finish(child, begun)
}

/// The primes from `lo` up to, but without, `hi`.
fn count_primes(lo: u64, hi: u64) -> u64 {
    let is_prime = |n: &u64| *n >= 2 && (2..=n.isqrt()).all(|divisor| !n.is_multiple_of(divisor));
    (lo..hi).filter(is_prime).count() as u64
}

/// Maps `count` of `word_count` over texts and gives the records that it returned.
fn counted(texts: &[String]) -> Vec<Value> {
    let inputs: String = texts.iter().map(|text| json!(text).to_string() + "\n").collect();
    let run = wasmpool(["map", &example("word_count"), "-t", "count", "--from", "-"]);
    run.stdin(inputs).run().expect(0).records()
}

#[test]
fn squares() {
    let squares = example("squares");
    let run = wasmpool(["map", &squares, "-t", "square", "1", "2", "3", "4", "-5"]).run().expect(0);
    assert_eq!(run.lines(), ["1", "4", "9", "16", "25"]);

    let run = wasmpool(["run", &squares, "-t", "divide", "1", "0"]).run().expect(1);
    assert_eq!((run.stdout.as_str(), run.stderr.trim_end()), ("", "divide: cannot divide 1 by zero"));
    assert_eq!(wasmpool(["run", &squares, "-t", "divide", "7", "-k", "b=2"]).run().expect(0).stdout, "3\n");
}

#[test]
fn a_square_that_does_not_fit_is_a_trap() {
    let run = wasmpool(["run", &example("squares"), "-t", "square", "9223372036854775807"]).run().expect(200);
    assert!(run.stderr.contains("overflow"), "{}", run.stderr);
}

#[test]
fn primes() {
    let ranges: Vec<(u64, u64)> = (0..200).map(|part| (part * 500, part * 500 + 500)).collect();
    let lines: String = ranges.iter().map(|range| json!(range).to_string() + "\n").collect();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ranges.jsonl");
    std::fs::write(&file, lines).expect("the folder can be written to");

    let file = file.display().to_string();
    let run = wasmpool(["map", &example("primes"), "-t", "count_primes", "--starmap", "--from", &file]);
    let counts: Vec<u64> =
        run.run().expect(0).lines().iter().map(|line| line.parse().expect("a number")).collect();
    assert_eq!(counts, ranges.iter().map(|(lo, hi)| count_primes(*lo, *hi)).collect::<Vec<_>>());
}

#[test]
fn word_count() {
    let files = ["README.md", "LICENSE-MIT", "LICENSE-APACHE", "host/ARCHITECTURE.md", "Cargo.lock"];
    let read = |name| std::fs::read_to_string(root().join(name)).expect("a file of the project");
    let texts = files.map(read);
    for ((file, text), counted) in files.iter().zip(&texts).zip(counted(&texts)) {
        let lines = text.bytes().filter(|byte| *byte == b'\n').count();
        let words = text.split_whitespace().count();
        assert_eq!((&counted["lines"], &counted["words"]), (&json!(lines), &json!(words)), "{file}");
        assert_eq!(counted["bytes"], json!(text.len()), "{file}");
        assert_eq!(counted["most_frequent"].as_array().map(Vec::len), Some(5), "{file}");
    }
    assert_eq!(counted(&["to be or not to be".to_owned()])[0]["most_frequent"][0], json!(["be", 2]));
}

/// The dictionary is loaded once for twenty tasks, each in a process of its own.
#[test]
fn spelling() {
    let words = format!("{}::/words:ro", root().join("examples/spelling/words").display());
    let spelling = example("spelling");
    let map = ["map", "-v", "-j", "2", "--dir", &words, &spelling, "-t", "misspelt"];
    let texts = vec!["The quik brown dgo"; 20];
    let run = wasmpool(map.iter().chain(&texts)).run().expect(0);
    assert_eq!(run.lines(), vec![r#"["quik","dgo"]"#; 20]);
    assert_eq!(run.stderr.matches("9 words").count(), 1, "{}", run.stderr);

    let run = wasmpool(["run", &spelling, "-t", "misspelt", "fox"]).run().expect(1);
    assert!(run.stderr.contains("initialisation failed: /words/words.txt: "), "{}", run.stderr);
}

#[test]
fn embed() {
    let run = host("embed", &[&example("primes")]).expect(0);
    assert_eq!(run.stdout, "9592 primes below 100000\n");
}

#[test]
fn embed_names_a_module_that_is_not_there() {
    let run = host("embed", &["no_such_module.wasm"]).expect(1);
    assert!(run.stderr.contains("no_such_module.wasm"), "{}", run.stderr);
}

#[test]
fn plugins_pass_their_own_tests() {
    let names = ["squares", "primes", "word_count", "spelling", "tutorial"];
    let sharing = ["producer_consumer", "shared_counter", "print_lock", "pipeline"];
    for name in names.into_iter().chain(sharing) {
        test_natively(name);
    }
}

/// The real input: this project's README, through three stages that are connected by queues.
#[test]
fn pipeline() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("the README");
    let module = example("pipeline");
    let objects = ["--queue", "lines:16", "--queue", "words:64", "--barrier", "start:3", "--event", "stop"];
    let args = ["-t", "rank", &readme, "lines", "words", "start", "stop", "3"];
    let run = wasmpool([&["run"], &objects[..], &[&module], &args].concat()).run().expect(0);
    let ranking: Vec<(String, u64)> = serde_json::from_str(&run.stdout).expect("a ranking");
    let words: Vec<String> = readme
        .split(|c: char| !c.is_alphanumeric())
        .map(str::to_lowercase)
        .filter(|word| !word.is_empty())
        .collect();
    assert_eq!(ranking.len(), 3);
    for (word, count) in ranking {
        assert_eq!(words.iter().filter(|other| **other == word).count() as u64, count, "{word}");
    }
}

/// A manifest over four of the other examples, built by the program itself.
#[test]
fn batch() {
    let manifest = root().join("examples/batch/batch.toml").display().to_string();
    let target = crate::support::build::target_dir().join("guests").display().to_string();
    let run = wasmpool(["batch", "-j", "2", &manifest]).env("CARGO_TARGET_DIR", &target).run().expect(0);
    let mut lines = run.lines();
    assert_eq!(lines.last(), Some(&"end: 144"), "{}", run.stdout);
    lines.sort_unstable();
    let found: Vec<&str> = lines.iter().filter(|line| !line.starts_with("consume")).copied().collect();
    let words = |file: &str, words: u32, word: &str, times: u32| {
        let text = std::fs::read_to_string(root().join("examples/batch/texts").join(file)).expect("a text");
        let (lines, bytes) = (text.lines().count(), text.len());
        format!(
            "words(texts/{file}): {{\"lines\":{lines},\"words\":{words},\"bytes\":{bytes},\"most_frequent\":[[\"{word}\",{times}]]}}"
        )
    };
    let expected = [
        "end: 144".to_owned(),
        format!("primes#1: {}", count_primes(0, 1000)),
        format!("primes#2: {}", count_primes(1000, 2000)),
        format!("primes#3: {}", count_primes(2000, 3000)),
        "produce: null".to_owned(),
        words("hamlet.txt", 10, "be", 2),
        words("rose.txt", 10, "rose", 4),
    ];
    assert_eq!(found, expected);
    let consumed =
        lines.iter().filter_map(|line| line.split_once("): ").filter(|_| line.starts_with("consume")));
    assert_eq!(consumed.map(|(_, sum)| sum.parse::<u64>().expect("a sum")).sum::<u64>(), 5050);
}

/// A number under a lock and one without, by tasks in processes of their own.
#[test]
fn shared_counter() {
    crate::support::scenario("shared-counter", &[&example("shared_counter")]).run().expect(0);
}

#[test]
fn every_example_is_in_the_readme_and_has_its_own() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("the README");
    for entry in std::fs::read_dir(root().join("examples")).expect("examples") {
        let folder = entry.expect("an entry").path();
        let name = folder.file_name().and_then(|name| name.to_str()).expect("a name");
        assert!(readme.contains(&format!("](examples/{name})")), "the README does not name examples/{name}");
        assert!(Path::new(&folder).join("README.md").exists(), "examples/{name} has no README.md");
    }
}
