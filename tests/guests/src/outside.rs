//! What a guest sees of the world: environment, input, files, random numbers.

#![forbid(unsafe_code)]

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::io::{self, Read};
use std::{env, fs};
use wasmpool_guest::task;

/// The environment.
#[task]
fn environment() -> BTreeMap<String, String> {
    env::vars().collect()
}

/// The command line.
#[task]
fn command_line() -> Vec<String> {
    env::args().collect()
}

/// All of standard input.
#[task]
fn read_stdin() -> Result<String, io::Error> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    Ok(text)
}

/// The names in a folder, sorted.
#[task]
fn list_dir(path: &str) -> Result<Vec<String>, io::Error> {
    let names: io::Result<Vec<String>> =
        fs::read_dir(path)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect();
    let mut names = names?;
    names.sort();
    Ok(names)
}

/// The text of a file.
#[task]
fn read_file(path: &str) -> Result<String, io::Error> {
    fs::read_to_string(path)
}

/// Writes a file, and returns its length in bytes.
#[task]
fn write_file(path: &str, text: &str) -> Result<u64, io::Error> {
    fs::write(path, text)?;
    Ok(fs::metadata(path)?.len())
}

/// That many random bytes, in hexadecimal.
#[task]
fn random_bytes(n: usize) -> Result<String, getrandom::Error> {
    let mut bytes = vec![0; n];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

/// The numbers from 0 to 31 in the order of a hash set, which depends on the instance's hash keys.
#[task]
fn hash_order() -> Vec<u32> {
    HashSet::<u32>::from_iter(0..32).into_iter().collect()
}
