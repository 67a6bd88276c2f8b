//! Counting words: a task that takes text, returns a record, and has a parameter that callers may leave out.

#![forbid(unsafe_code)]

use std::cmp::Reverse;
use std::collections::HashMap;
use std::{fs, io};
use wasmpool_guest::serde::Serialize;
use wasmpool_guest::task;

/// What there is in a text.
#[derive(Debug, PartialEq, Serialize)]
#[serde(crate = "wasmpool_guest::serde")]
struct Count {
    /// Ends of lines.
    lines: usize,
    /// Runs of characters without white space.
    words: usize,
    /// The length of the text in UTF-8.
    bytes: usize,
    /// Words in lower case and how often they occur: the most frequent first, equals in alphabetical order.
    most_frequent: Vec<(String, usize)>,
}

/// Counts lines, words and bytes as `wc` does, and the `top` most frequent words without regard to case and punctuation.
#[task]
fn count(text: &str, #[default(5)] top: usize) -> Count {
    Count {
        lines: text.matches('\n').count(),
        words: text.split_whitespace().count(),
        bytes: text.len(),
        most_frequent: most_frequent(text, top),
    }
}

/// The same for a file, in a directory that the host has granted.
#[task]
fn count_file(path: &str, #[default(5)] top: usize) -> Result<Count, io::Error> {
    Ok(count(&fs::read_to_string(path)?, top))
}

fn most_frequent(text: &str, top: usize) -> Vec<(String, usize)> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for word in text.split(|c: char| !c.is_alphanumeric() && c != '\'') {
        let word = word.trim_matches('\'').to_lowercase();
        if !word.is_empty() {
            *counts.entry(word).or_default() += 1;
        }
    }
    let mut ranked: Vec<_> = counts.into_iter().collect();
    ranked.sort_by_key(|(word, count)| (Reverse(*count), word.clone()));
    ranked.truncate(top);
    ranked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frequent(text: &str, top: usize) -> Vec<String> {
        count(text, top).most_frequent.iter().map(|(word, count)| format!("{word} {count}")).collect()
    }

    #[test]
    fn counts_as_wc_does() {
        let counted = count("one  two\nthree\n", 0);
        let expected = Count { lines: 2, words: 3, bytes: 15, most_frequent: vec![] };
        assert_eq!(counted, expected);
        assert_eq!(count("no newline", 0).lines, 0);
        assert_eq!(count("größe", 0).bytes, 7);
        assert_eq!(count("", 5), Count { lines: 0, words: 0, bytes: 0, most_frequent: vec![] });
    }

    #[test]
    fn ranks_by_frequency_then_alphabet() {
        assert_eq!(frequent("to be or not to be", 3), ["be 2", "to 2", "not 1"]);
    }

    #[test]
    fn case_and_punctuation_do_not_matter() {
        assert_eq!(frequent("Don't! 'Don't', she said; don't.", 1), ["don't 3"]);
    }

    #[test]
    fn its_own_source() {
        let counted = count(include_str!("lib.rs"), 1);
        assert!(counted.lines > 50 && counted.words > counted.lines);
    }
}
