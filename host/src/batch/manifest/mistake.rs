//! What is wrong with a manifest, and where: a message, the line that it is about, and what would be right.

#![forbid(unsafe_code)]

use std::fmt;
use std::ops::Range;

/// Columns of a manifest's line that a message shows, at most.
const SHOWN_CHARS_MAX: usize = 100;

/// A value with the bytes of the manifest that it was written in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Range<usize>,
}

impl<T> At<T> {
    /// A value that stands there.
    pub fn new(value: T, span: Range<usize>) -> Self {
        Self { value, span }
    }

    /// The same place with what `change` makes of the value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> At<U> {
        At { value: change(self.value), span: self.span }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The bytes of the manifest that it is about.
    pub span: Range<usize>,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Mistake {
    /// A mistake at this place.
    pub fn at(span: &Range<usize>, message: impl Into<String>) -> Self {
        Self { span: span.clone(), message: message.into() }
    }

    /// Line and column, from 1; columns are characters.
    #[must_use]
    pub fn place(&self, text: &str) -> (usize, usize) {
        let start = text.floor_char_boundary(self.span.start);
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    /// `FILE:LINE:COLUMN: message`, then the line with a mark under what is meant.
    #[must_use]
    pub fn render(&self, file: &str, text: &str) -> String {
        let (line, column) = self.place(text);
        let start = text.floor_char_boundary(self.span.start);
        let end = text.floor_char_boundary(self.span.end).max(start);
        let source = text.lines().nth(line - 1).unwrap_or_default();
        let width = text[start..end].lines().next().unwrap_or_default().chars().count().max(1);
        // A long line is shown around what is meant.
        let skipped = (column - 1).saturating_sub(SHOWN_CHARS_MAX / 2);
        let shown: String = source.chars().skip(skipped).take(SHOWN_CHARS_MAX).map(printable).collect();
        let indent = column - 1 - skipped;
        let mark = "^".repeat(width.min(SHOWN_CHARS_MAX.saturating_sub(indent)).max(1));
        let (number, message) = (line.to_string(), &self.message);
        let gutter = " ".repeat(number.len());
        let space = " ".repeat(indent);
        format!(
            "{file}:{line}:{column}: {message}\n{gutter} |\n{number} | {}\n{gutter} | {space}{mark}\n",
            shown.trim_end()
        )
    }
}

/// A tab is as wide as the mark's space, and nothing else acts on a terminal.
fn printable(character: char) -> char {
    if character.is_control() { ' ' } else { character }
}

/// Everything that is wrong with a manifest. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

/// Mistakes that are shown at one time.
const SHOWN_MAX: usize = 20;

impl Mistakes {
    /// Every mistake in the order of its place, a block each, and how many there are beyond the first twenty.
    #[must_use]
    pub fn render(&self, file: &str, text: &str) -> String {
        let mut mistakes: Vec<&Mistake> = self.0.iter().collect();
        mistakes.sort_by_key(|mistake| mistake.span.start);
        let shown = mistakes.iter().take(SHOWN_MAX).map(|mistake| mistake.render(file, text));
        let mut out = shown.collect::<Vec<_>>().join("\n");
        if mistakes.len() > SHOWN_MAX {
            out.push_str(&format!("\nand {} more\n", mistakes.len() - SHOWN_MAX));
        }
        out
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let messages: Vec<&str> = self.0.iter().map(|mistake| mistake.message.as_str()).collect();
        f.write_str(&messages.join("; "))
    }
}

impl std::error::Error for Mistakes {}

/// `, did you mean ...?` for a word that is nearly one of the known ones, else nothing.
#[must_use]
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let nearest = known.into_iter().map(|known| (distance(word, known), known)).min();
    match nearest {
        Some((edits, known)) if edits <= (known.chars().count() / 3).max(1) => {
            format!(", did you mean `{known}`?")
        }
        _ => String::new(),
    }
}

/// How many letters must be put in, left out, changed or swapped with their neighbour.
fn distance(one: &str, other: &str) -> usize {
    // Words are keys and names; a text of a megabyte is none of them.
    const CHARS_MAX: usize = 64;
    let one: Vec<char> = one.chars().take(CHARS_MAX).collect();
    let other: Vec<char> = other.chars().take(CHARS_MAX).collect();
    let mut rows = vec![(0..=other.len()).collect::<Vec<usize>>()];
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let changed = rows[i][j] + usize::from(a != b);
            let mut best = changed.min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                best = best.min(rows[i - 1][j - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_by_what_it_nearly_is() {
        let known = ["module", "name", "after", "max_parallel"];
        assert_eq!(did_you_mean("modul", known), ", did you mean `module`?");
        assert_eq!(did_you_mean("naem", known), ", did you mean `name`?");
        assert_eq!(did_you_mean("max-parallel", known), ", did you mean `max_parallel`?");
        assert_eq!(did_you_mean("colour", known), "");
        assert_eq!(did_you_mean("x", []), "");
    }

    #[test]
    fn a_mistake_shows_its_line_and_a_mark_under_it() {
        let text = "a = 1\n\tbé = \"x\"\n";
        let mistake = Mistake::at(&(text.find('"').unwrap()..text.len() - 1), "wrong");
        assert_eq!(mistake.place(text), (2, 7));
        assert_eq!(mistake.render("m", text), "m:2:7: wrong\n  |\n2 |  bé = \"x\"\n  |       ^^^\n");
    }

    #[test]
    fn a_place_at_the_end_of_a_text_is_within_it() {
        for text in ["", "a", "a\n", "é"] {
            let mistake = Mistake::at(&(text.len()..text.len() + 3), "ends");
            let (line, column) = mistake.place(text);
            assert!(line >= 1 && column >= 1);
            assert!(mistake.render("m", text).starts_with(&format!("m:{line}:{column}: ends\n")));
        }
    }

    #[test]
    fn a_long_line_is_shown_around_what_is_meant() {
        let text = format!("{}wrong{}", "a".repeat(1000), "b".repeat(1000));
        let shown = Mistake::at(&(1000..1005), "x").render("m", &text);
        assert!(shown.lines().all(|line| line.len() < 120) && shown.contains("wrong"), "{shown}");
    }
}
