//! Has cargo build the program together with all tests: the integration tests run it.

#![forbid(unsafe_code)]

use std::process::Command;

#[test]
fn the_listings_are_named_to_whoever_names_another() {
    let output = Command::new(env!("CARGO_BIN_EXE_tutorial_host")).arg("no_such_listing").output();
    let output = output.expect("the program runs");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && text.contains("daemon_join_timeout"), "{text}");
}
