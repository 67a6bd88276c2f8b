//! Three processes in a row: lines go through a queue to one that splits them, and words through another to one that
//! counts them. A barrier lets all begin together, and an event tells the first to stop when there is enough.
//!
//! Each stage closes the queue that it fills, so the next one's loop ends. The queues are small: a fast stage waits for a
//! slow one instead of filling the memory.

#![forbid(unsafe_code)]

use std::cmp::Reverse;
use std::collections::HashMap;
use wasmpool_guest::pool::{self, JoinError, SubmitError};
use wasmpool_guest::sync::{Barrier, Event, Queue, SyncError};
use wasmpool_guest::task;

/// Words and how often they occur, the most frequent first.
type Ranking = Vec<(String, u64)>;

/// First stage: the lines of a text, until it ends or `stop` is set. Returns how many there were.
#[task]
fn read(text: &str, lines: Queue<String>, start: Barrier, stop: Event) -> Result<u64, SyncError> {
    start.wait()?;
    let mut count = 0;
    for line in text.lines() {
        if stop.is_set()? {
            break;
        }
        lines.put(line.to_owned())?;
        count += 1;
    }
    lines.close()?;
    Ok(count)
}

/// Second stage: the words of each line, in lower case and without punctuation. Returns how many there were.
#[task]
fn split(lines: Queue<String>, words: Queue<String>, start: Barrier) -> Result<u64, SyncError> {
    start.wait()?;
    let mut count = 0;
    for line in &lines {
        for word in line?.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
            words.put(word.to_lowercase())?;
            count += 1;
        }
    }
    words.close()?;
    Ok(count)
}

/// Third stage: the `top` most frequent words. After `enough` of them it sets `stop`, and takes what is still under way.
#[task]
fn count(
    words: Queue<String>,
    start: Barrier,
    stop: Event,
    top: usize,
    enough: Option<u64>,
) -> Result<Ranking, SyncError> {
    start.wait()?;
    let mut counts: HashMap<String, u64> = HashMap::new();
    for (word, number) in words.iter().zip(1..) {
        *counts.entry(word?).or_default() += 1;
        if Some(number) == enough {
            stop.set()?;
        }
    }
    let mut ranked: Ranking = counts.into_iter().collect();
    ranked.sort_by_key(|(word, count)| (Reverse(*count), word.clone()));
    ranked.truncate(top);
    Ok(ranked)
}

/// All three: submits the first two stages, and is the third. `start` is a barrier of three parties.
#[task]
fn rank(
    text: &str,
    lines: Queue<String>,
    words: Queue<String>,
    start: Barrier,
    stop: Event,
    #[default(5)] top: usize,
    enough: Option<u64>,
) -> Result<Ranking, String> {
    let not_submitted = |error: SubmitError| error.to_string();
    let reading = pool::submit::<u64>("read", (text, &lines, &start, &stop)).map_err(not_submitted)?;
    let splitting = pool::submit::<u64>("split", (&lines, &words, &start)).map_err(not_submitted)?;
    let ranked = count(words, start, stop, top, enough).map_err(|error| error.to_string())?;
    let not_joined = |error: JoinError| error.to_string();
    reading.join().map_err(not_joined)?;
    splitting.join().map_err(not_joined)?;
    Ok(ranked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmpool_guest::testing::Host;

    /// Runs all stages on stand-ins.
    fn rank_natively(text: &str, enough: Option<u64>) -> Ranking {
        let (lines, words) = (Queue::<String>::stand_in(2), Queue::<String>::stand_in(2));
        let (start, stop) = (Barrier::stand_in(3), Event::stand_in());
        let host = Host::new()
            .grant("lines", &lines)
            .grant("words", &words)
            .grant("start", &start)
            .grant("stop", &stop)
            .fallible_task("read", |(text, lines, start, stop): (String, Queue<String>, Barrier, Event)| {
                read(&text, lines, start, stop)
            })
            .fallible_task("split", |(lines, words, start): (Queue<String>, Queue<String>, Barrier)| {
                split(lines, words, start)
            });
        let ran = host.run(|| {
            let error = |error: SyncError| error.to_string();
            let (lines, words) = (Queue::open("lines").map_err(error)?, Queue::open("words").map_err(error)?);
            let (start, stop) = (Barrier::open("start").map_err(error)?, Event::open("stop").map_err(error)?);
            rank(text, lines, words, start, stop, 3, enough)
        });
        ran.returned().unwrap()
    }

    fn shown(ranking: &Ranking) -> Vec<String> {
        ranking.iter().map(|(word, count)| format!("{word} {count}")).collect()
    }

    #[test]
    fn the_most_frequent_words_come_first() {
        let ranking = rank_natively("To be, or not\nto be:\nthat is the question.\n", None);
        assert_eq!(shown(&ranking), ["be 2", "to 2", "is 1"]);
    }

    #[test]
    fn its_own_source_is_more_than_the_queues_hold() {
        let source = include_str!("lib.rs");
        let ranking = rank_natively(source, None);
        let words = source.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase);
        let (top, count) = &ranking[0];
        assert_eq!(words.filter(|word| word == top).count() as u64, *count);
    }

    #[test]
    fn no_text_has_no_words() {
        assert_eq!(rank_natively("", None), []);
    }

    #[test]
    fn when_there_is_enough_the_rest_is_not_read() {
        let text = "word\n".repeat(10_000);
        let ranking = rank_natively(&text, Some(10));
        // What was under way still counts: two queues of two, and what each stage had in its hands.
        assert!(ranking[0].1 >= 10 && ranking[0].1 < 10_000, "{ranking:?}");
    }
}
