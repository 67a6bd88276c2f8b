//! Has cargo build the program together with all tests: the integration tests run it.

#![forbid(unsafe_code)]

use std::process::Command;

#[test]
fn the_version_ends_with_the_version() {
    let output = Command::new(env!("CARGO_BIN_EXE_wasmpool")).arg("--version").output();
    let output = output.expect("the program runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.trim_end().ends_with(env!("CARGO_PKG_VERSION")), "{text}");
}
