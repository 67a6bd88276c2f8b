//! How the program is linked.
//!
//! So that its code can be put in huge pages (`src/os/huge_code.rs`): each segment has its huge pages to itself, which makes
//! the file no larger.
//!
//! And so that it starts faster: it starts twice for each `wasmpool run`, and half of what happens before `main` is
//! relocating tables of addresses. As `RELR` those relocations are 40 KB instead of 1.1 MB. The C library can read them since 2.36, and a program that has
//! them does not start with an older one, so they are made only where this machine's is new enough.

use std::process::Command;

/// The first version of the GNU C library that reads them.
const GLIBC: (u32, u32) = (2, 36);

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    if variable("CARGO_CFG_TARGET_OS") == "linux" && variable("CARGO_CFG_TARGET_ARCH") == "x86_64" {
        // The unit tests are such a program too.
        println!("cargo::rustc-link-arg=-Wl,-z,max-page-size=0x200000");
    }
    let is_own = variable("HOST") == variable("TARGET") && variable("CARGO_CFG_TARGET_ENV") == "gnu";
    if is_own && glibc().is_some_and(|version| version >= GLIBC) {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// The version of this machine's C library, if it says so.
fn glibc() -> Option<(u32, u32)> {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
