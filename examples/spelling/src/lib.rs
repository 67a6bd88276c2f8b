//! A dictionary that is loaded once, however many tasks look into it.

#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::fs;
use std::sync::OnceLock;

use wasmpool_guest::{init, task};

/// Where the host grants the dictionary: one word a line.
const FILE: &str = "/words/words.txt";

static WORDS: OnceLock<BTreeSet<String>> = OnceLock::new();

/// Runs before the first task. Every task begins with a copy of what is in memory after it.
#[init]
fn load() -> Result<(), String> {
    let text = fs::read_to_string(FILE).map_err(|error| format!("{FILE}: {error}"))?;
    let words = WORDS.get_or_init(|| text.split_whitespace().map(str::to_lowercase).collect());
    println!("{} words", words.len());
    Ok(())
}

/// The words of a text that are not in the dictionary.
#[task]
fn misspelt(text: &str) -> Vec<String> {
    let known = |word: &str| WORDS.get().is_some_and(|words| words.contains(&word.to_lowercase()));
    let words = text.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty());
    words.filter(|word| !known(word)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_known_whatever_their_case() {
        let words = ["the", "quick", "fox"].map(str::to_owned);
        WORDS.set(words.into_iter().collect()).expect("nothing else sets it");
        assert_eq!(misspelt("The quick, the QUIK fox!"), ["QUIK"]);
        assert!(misspelt("").is_empty());
    }
}
