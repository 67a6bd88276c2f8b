//! The texts of `--help`.

#![forbid(unsafe_code)]

use wasmpool::exit_code;

pub const ENTRY: &str = "What is called";
pub const BATCH: &str = "Batch";
pub const JOBLOG: &str = "Job log and resume";
pub const REPORTS: &str = "Reports";
pub const ARGUMENTS: &str = "Arguments";
pub const GRANTS: &str = "What a task may touch";
pub const SHARED: &str = "Queues, locks and the like";

pub const ABOUT: &str = "\
Multiprocessing for code you do not trust: runs WebAssembly tasks, each in its own sandboxed process, \
and says exactly how each one ended.";

pub const ABOUT_EXAMPLES: &str = "\
Examples:
  # a plugin crate to begin with; build it, run its task
  wasmpool new demo
  wasmpool run demo 41
  # one task over many inputs
  wasmpool map examples/squares -t square 1 2 3 4 5

`wasmpool COMMAND --help` says more; `wasmpool help` lists what else is told.";

pub const RUN_USAGE: &str = "\
wasmpool run [OPTIONS] MODULE -t TASK [OPTIONS] [ARG]...
       wasmpool run [OPTIONS] MODULE --invoke EXPR [OPTIONS]
       wasmpool run [OPTIONS] MODULE [ARG]...";

pub const RUN_EXAMPLES: &str = "\
Examples:
  # a task of a plugin, with an argument by its name
  wasmpool run examples/squares -t divide 6 3
  wasmpool run examples/squares -t divide 6 -k b=3
  # a program, stopped after 0.3 s with code 221
  wasmpool run --timeout 300ms loop.wat
  # a program that sees one file of a folder, and cannot change it
  wasmpool run --file app.toml::/etc/app.toml:ro serve.wasm
  # a program that reads one folder, writes another, and knows one variable
  wasmpool run --dir in:ro --dir out::/out --env LANG resize.wasm in /out
  # a program that may reach one port of one host, and nothing else
  wasmpool run --net api.example.com:443 fetch.wasm
  # a program with its own arguments and our standard streams
  wasmpool run tool.wasm --verbose in.txt <data
  # a plain export
  wasmpool run add.wasm --invoke 'add(1, 2)'";

pub const MAP_USAGE: &str = "\
wasmpool map [OPTIONS] MODULE -t TASK [INPUT]...
       wasmpool map [OPTIONS] MODULE -t TASK --from FILE|-
       wasmpool map [OPTIONS] MODULE --invoke EXPR [INPUT]...
       wasmpool map [OPTIONS] MODULE [INPUT]... -- ARG {} ARG";

pub const MAP_EXAMPLES: &str = "\
Examples:
  # results in the order of the inputs
  wasmpool map examples/squares -t square 1 2 3 4 5
  # one array of arguments a line
  wasmpool map primes.wasm -t count_primes --starmap --from ranges.jsonl
  # one full record for each input
  seq 1000 | wasmpool map -j 8 squares.wasm -t square --from - --format jsonl
  # what ran is written down; the second line runs what is left
  wasmpool map --joblog job.log squares.wasm -t square --from in.jsonl
  wasmpool map --joblog job.log --resume squares.wasm -t square --from in.jsonl
  # a page with a timeline, and JUnit for a CI system
  wasmpool map squares.wasm -t square 1 2 --report r.html --report r.xml
  # a WASI command over many inputs
  wasmpool map convert.wasm a.png b.png -- --width 100 {}
  # a plain export, called with each input in place of {}
  wasmpool map add.wasm --invoke 'add({}, 1)' 1 2 3
  # four tasks that share the lines of a file, and what they find
  wasmpool map finder.wasm -t find jobs jobs jobs jobs -k found=found \\
    --queue jobs:100 --feed jobs --queue found --drain found <lines.txt";

pub const REPLAY_EXAMPLES: &str = "\
It runs as it did when the log was written, or not at all: with the same module, arguments, limits, directories \
and standard input. Its files and its clock are those of today. Ends with the code of the task.

Example:
  wasmpool map --joblog job.log squares.wasm -t square 1 2 x
  wasmpool replay job.log 3";

pub const MANIFEST_USAGE: &str = "\
wasmpool batch [OPTIONS] MANIFEST.toml
       wasmpool batch --schema";

pub const MANIFEST_EXAMPLES: &str = "\
Examples:
  # what would run, and what each task could touch
  wasmpool batch --dry-run batch.toml
  # run it; at most three failures
  wasmpool batch --max-fail 3 batch.toml
  # only some of it, again after each change
  wasmpool batch --watch --only 'resize(*,2)' batch.toml

A manifest:
  [[task]]
  name = \"resize\"
  module = \"resize.wasm\"
  command = [\"--width\", \"{width}\", \"{photo}\", \"out/{photo/.}-{width}.png\"]
  matrix = { photo = { glob = \"photos/*.png\" }, width = [100, 800] }
  dirs = [
    { host = \"photos\", mode = \"ro\" },
    { host = \"out\", mode = \"rw\" },
  ]
  timeout = \"10s\"";

pub const INSPECT_EXAMPLES: &str = "\
Examples:
  wasmpool inspect examples/squares
  wasmpool inspect plugin.wasm --format json | jq '.tasks[].name'";

pub const COMPILE_EXAMPLES: &str = "\
Prints the SHA-256 of the module, by which the cache knows it.

Example:
  wasmpool compile plugin.wasm";

pub const NEW_EXAMPLES: &str = "\
Examples:
  wasmpool new demo && cd demo && cargo test && wasmpool run . 41
  wasmpool new demo --lang python

In Python, JavaScript and C the functions that `wit/plugin.wit` exports are the tasks. What builds such a plugin and is not \
installed is named, with the command that installs it; its README says how it is built.

Until the SDK is published, a new crate points at its folder: at the checkout this program was built \
from, or at --sdk PATH.";

pub const PS_EXAMPLES: &str = "\
Examples:
  # every batch of this user, and what runs in each
  wasmpool ps
  # one of them, for a program
  wasmpool ps --format json 4711

CPU time and memory are those of the worker, as they are. A batch that cannot make its socket (`-v` says why) is not listed.";

pub const DOCTOR_EXAMPLES: &str = "\
Ends with 0 when everything that `--sandbox required` (the default) asks for is there, else with 247.";

pub const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  wasmpool completions bash >~/.local/share/bash-completion/completions/wasmpool
  wasmpool completions zsh >~/.zfunc/_wasmpool
  wasmpool completions fish >~/.config/fish/completions/wasmpool.fish";

pub const MAN_EXAMPLES: &str = "\
Examples:
  wasmpool man | man -l -
  wasmpool man run >~/.local/share/man/man1/wasmpool-run.1";

const RUN_NOTES: &str = "\
Our options stand before MODULE. Directly after MODULE comes `-t TASK` or `--invoke EXPR`, and after one \
of those our options may follow too. Otherwise everything after MODULE goes to the guest, unread.

Each ARG of a task is JSON if it parses as JSON, otherwise a string; a task that takes raw bytes gets the \
text as it is. The result is printed as one line of JSON, raw bytes as they are. EXPR is a call such as \
add(1, 2) or acme:math/ops.add(1, 2); `wasmpool inspect MODULE` lists exports with their types. With neither -t nor \
--invoke, a WASI command is run with the ARGs and our standard streams, and a plugin with exactly one \
task runs it.

What a task itself prints goes to our standard error, in whole lines with the task's name in front. \
Nothing is granted but what --dir, --file, --env and --net name: no environment, no files, no network, and of queues, locks and \
the like only what --queue, --lock and so on name. A task that takes one of those as an argument takes its name.";

const MAP_NOTES: &str = "\
Results come in the order of the inputs, a line each. A failed input prints nothing on standard output \
and one line on standard error. Inputs of --from are read while they are needed. A line that is not JSON, \
or does not fit the task, is a failed input; the others run.

With `-- ARG {} ARG`, MODULE is a WASI command that runs once for each input; its captured output is \
printed whole. {} is the input, {.} the input without its extension, {/} its last part, {//} what comes before \
it, {/.} the last part without its extension, and {#} its number. The same places stand in --invoke EXPR, where \
an input between quotes is text and elsewhere one value. With neither -t nor `--`, a plugin with \
exactly one task runs it.

--queue, --lock and the like make objects that every task may open by their names; a task that takes one \
as an argument takes its name. --feed puts lines of standard input into a queue as long as tasks run, and \
waits while it is full. --drain prints what tasks put into a queue until it is closed, or all tasks have \
ended and it is empty. Its lines and those of the results come in no order, but each stays whole.

--results DIR keeps what each command wrote in DIR/SEQ/stdout and DIR/SEQ/stderr, and its record in \
DIR/SEQ/record.json. DIR is made or is empty; what cannot be kept is told, and the code is 106.

--format jsonl prints one object for each input, with the fields seq, name, outcome, exit_code, value or \
error, attempt, pid, wall_ms, cpu_ms, peak_memory_bytes, layers, queued_at, started_at, worker, and stdout and \
stderr of a command.

--joblog FILE has one such object for each end of an attempt, written before its result is printed, one for each \
start, and what the tasks were and might touch. With --resume, what FILE says is finished does not run again. A \
task is known by its content: module, task, arguments, command line, standard input, environment and grants; \
not by its place, and not by its limits, so limits may be raised for what --retry-failed runs again. Tasks \
that were cut off or stopped run again.

--report FILE writes a report at the end: all records as one JSON document (.json), JUnit with a case for each task \
(.xml), or a page with a timeline, histograms and a table that filters (.html), which needs nothing else. --trace FILE writes \
what ran where and when for Perfetto. Halted and interrupted batches have them too; what cannot be written is told, and \
the code is 106. host/REPORTS.md describes each.

--retries N tries a task again, after 100 ms, then 200 ms and so on up to 10 s, of which up to half is left out \
at random. --retry-on takes classes of endings: failed (the task returned an error), exit, trap, limit, timeout (the \
wall clock), crash (the worker died), deadlock, start (it could not be made), any. A task whose worker died twice \
is given up with code 235 instead of being tried again.

The first Ctrl-C starts nothing any more and gives running tasks 2 s to finish; the second kills them.";

const MANIFEST_NOTES: &str = "\
Everything is checked before anything runs: the manifest, modules, tasks and their arguments, files, directories. Each \
mistake is shown with its line and what would be right. host/MANIFEST.md describes every key.

A value is printed behind its task's name, `resize(a.png,100): 7`, and a command's output line by line, \
`resize(a.png,100)| done`, as tasks end. A failed task prints one line on standard error. --format jsonl prints one \
object for each task, with the fields of `map`; with --dry-run, one for each task as it would run.

What a task says itself counts most, then the command line, then [defaults], then what is built in. --dir, --env, --queue \
and the like grant every task something besides.

Tasks start in the order of their priority, then of the manifest, as soon as what they come after has succeeded. When \
that fails, they are not run (code 234). A task's max_memory counts against --memory-budget: what does not fit waits, and \
nothing overtakes it. Daemons start first, take no worker, and end with the batch.

--report FILE.json, .xml or .html and --trace FILE write about the whole batch at its end; `wasmpool map --help` and \
host/REPORTS.md say what.

The first Ctrl-C starts nothing any more and gives running tasks their grace period; the second kills them. What was not \
run is listed.";

const FOLDER_NOTES: &str = "\
A MODULE that is a folder with a Cargo.toml is built first, in release mode for wasm32-wasip2, with its \
own build scripts and macros: those run with your rights, outside of any sandbox.";

pub fn run_long() -> String {
    format!("{RUN_EXAMPLES}\n\n{RUN_NOTES}\n\n{FOLDER_NOTES}\n\nExit codes:\n{}", task_codes())
}

pub fn map_long() -> String {
    let codes = batch_codes();
    format!(
        "{MAP_EXAMPLES}\n\n{MAP_NOTES}\n\n{FOLDER_NOTES}\n\nExit codes:\n{codes}\n\n`wasmpool run --help` lists the codes of single tasks."
    )
}

pub fn manifest_long() -> String {
    let codes = batch_codes();
    format!(
        "{MANIFEST_EXAMPLES}\n\n{MANIFEST_NOTES}\n\n{FOLDER_NOTES}\n\nExit codes:\n{codes}\n\n`wasmpool run --help` lists the codes of single tasks."
    )
}

/// The table of exit codes, a line each.
pub fn task_codes() -> String {
    let row = |row: &exit_code::ExitCode| format!("  {:7}  {}", row.label, row.meaning);
    exit_code::TABLE.iter().map(row).collect::<Vec<_>>().join("\n")
}

pub fn batch_codes() -> String {
    let row = |(code, meaning): &(u8, &str)| format!("  {code:<7}  {meaning}");
    batch_rows().iter().map(row).collect::<Vec<_>>().join("\n")
}

/// The codes of `map` and `batch`.
pub fn batch_rows() -> [(u8, &'static str); 7] {
    use exit_code::batch;
    [
        (batch::SUCCESS, "every task succeeded"),
        (batch::USAGE, "the command line or the manifest was wrong"),
        (batch::NOT_SET_UP, "nothing could be started: a module that cannot run, a missing sandbox layer"),
        (batch::SOME_FAILED, "some task failed"),
        (batch::INCOMPLETE, "halted, inputs not read to their end, or results or reports not written"),
        (batch::INTERRUPTED, "ended by Ctrl-C (SIGINT)"),
        (batch::TERMINATED, "ended by SIGTERM"),
    ]
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_help_of_run_lists_every_exit_code() {
        let help = super::run_long();
        for row in wasmpool::exit_code::TABLE {
            assert!(help.contains(row.meaning), "{} is missing", row.code);
        }
    }

    #[test]
    fn examples_fit_a_terminal() {
        for line in
            [super::RUN_EXAMPLES, super::MAP_EXAMPLES, super::MANIFEST_EXAMPLES, super::ABOUT_EXAMPLES]
                .iter()
                .flat_map(|text| text.lines())
        {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}
