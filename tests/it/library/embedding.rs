//! Programs that embed the library and do something unusual to themselves.

use crate::support::scenario;

/// Nothing is started without `init` or the program's path, and the error says what to add.
#[test]
fn a_program_without_init_is_told_what_to_add() {
    let run = scenario("without-init", &[]).run().expect(0);
    let text = run.records()[0]["text"].as_str().expect("a text").to_owned();
    assert!(text.contains("wasmpool::init()") && text.contains("first line of `main`"), "{text}");
}

/// A parent that ignores SIGCHLD has its children reaped by the kernel: their end is known all the same.
#[test]
fn outcomes_are_right_in_a_program_that_ignores_sigchld() {
    let said = scenario("sigchld-ignored", &[]).ignoring_sigchld().run().expect(0).records();
    println!("{}", said[0]);
}
