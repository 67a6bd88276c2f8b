//! Standard output and standard error.

#![forbid(unsafe_code)]

use std::io::{self, Write};
use wasmpool_guest::{exit, task};

/// Prints the text as it is: without a newline of its own.
#[task]
fn print(text: &str) {
    print!("{text}");
}

/// The same to standard error.
#[task]
fn eprint(text: &str) {
    eprint!("{text}");
}

/// Prints the numbers from 1 to `lines`, a line each.
#[task]
fn print_lines(lines: u64) {
    for line in 1..=lines {
        println!("{line}");
    }
}

/// Prints without a newline, then ends itself.
#[task]
fn print_then_exit(text: &str, code: u32) -> ! {
    print!("{text}");
    exit(code)
}

/// Prints without a newline, then panics.
#[task]
fn print_then_panic(text: &str) {
    print!("{text}");
    panic!("after printing");
}

/// Prints without end. Ignores that it is refused.
#[task]
fn flood_output() -> ! {
    flood(&mut io::stdout().lock())
}

/// The same to standard error.
#[task]
fn flood_stderr() -> ! {
    flood(&mut io::stderr().lock())
}

fn flood(stream: &mut dyn Write) -> ! {
    let line = [b'x'; 1023];
    loop {
        let _ = stream.write_all(&line);
        let _ = stream.write_all(b"\n");
    }
}
