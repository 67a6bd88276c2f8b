//! The command line of a WASI command with places for each input: `-- convert {} out/{.}.png`. The places are those
//! of GNU parallel.

#![forbid(unsafe_code)]

/// What may stand in an argument, and what takes its place.
pub const PLACES: &[(&str, &str)] = &[
    ("{}", "the input"),
    ("{.}", "the input without its extension"),
    ("{/}", "the input's last part, as of a path"),
    ("{//}", "what comes before it, `.` if there is nothing"),
    ("{/.}", "the last part without its extension"),
    ("{#}", "the input's number, from 1"),
];

/// A command line with at least one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Vec<Piece>>);

/// A part of an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// An index into [`PLACES`].
    Place(usize),
}

/// The arguments name no place for the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "none of the arguments after `--` says where each input goes: write `{{}}` in one of them (or `{{.}}`, `{{/}}`, \
     `{{//}}`, `{{/.}}`, `{{#}}`)"
)]
pub struct NoPlace;

impl Template {
    /// The arguments after `--`.
    ///
    /// # Errors
    ///
    /// When none of them has a place: every task would be the same.
    pub fn new(arguments: Vec<String>) -> Result<Self, NoPlace> {
        let arguments: Vec<_> = arguments.iter().map(|argument| pieces(argument)).collect();
        let has_place = arguments.iter().flatten().any(|piece| matches!(piece, Piece::Place(_)));
        if has_place { Ok(Self(arguments)) } else { Err(NoPlace) }
    }

    /// The arguments for the input of this number. What is put in is never split or read again.
    #[must_use]
    pub fn fill(&self, input: &str, number: u64) -> Vec<String> {
        let fill = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Place(place) => value(PLACES[*place].0, input, number),
        };
        self.0.iter().map(|pieces| pieces.iter().map(fill).collect()).collect()
    }
}

fn pieces(argument: &str) -> Vec<Piece> {
    let (mut pieces, mut text, mut rest) = (Vec::new(), String::new(), argument);
    while let Some(first) = rest.chars().next() {
        let place = PLACES.iter().position(|(place, _)| rest.starts_with(place));
        let length = match place {
            Some(index) => {
                if !text.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                }
                pieces.push(Piece::Place(index));
                PLACES[index].0.len()
            }
            None => {
                text.push(first);
                first.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    if !text.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Text(text));
    }
    pieces
}

/// What takes the place of one of [`PLACES`].
pub(super) fn value(place: &str, input: &str, number: u64) -> String {
    match place {
        "{.}" => without_extension(input).to_owned(),
        "{/}" => last_part(input).to_owned(),
        "{//}" => folder(input).to_owned(),
        "{/.}" => without_extension(last_part(input)).to_owned(),
        "{#}" => number.to_string(),
        _ => input.to_owned(),
    }
}

fn last_part(input: &str) -> &str {
    input.rsplit_once('/').map_or(input, |(_, last)| last)
}

fn folder(input: &str) -> &str {
    match input.rsplit_once('/') {
        Some(("", _)) => "/",
        Some((folder, _)) => folder,
        None => ".",
    }
}

/// A name that begins with its only dot has no extension.
fn without_extension(input: &str) -> &str {
    let last = last_part(input);
    match last.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => &input[..input.len() - extension.len() - 1],
        _ => input,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn every_place_gets_its_part_of_the_input_verbatim() {
        let template = Template::new(words(&["-v", "{}", "out/{}.{}", ""])).unwrap();
        assert_eq!(template.fill("a b", 1), words(&["-v", "a b", "out/a b.a b", ""]));
        assert_eq!(template.fill("{#}", 1), words(&["-v", "{#}", "out/{#}.{#}", ""]));
        assert_eq!(Template::new(words(&["-v", "{x}", "{"])), Err(NoPlace));
    }

    #[test]
    fn the_places_are_those_of_gnu_parallel() {
        let all: Vec<&str> = PLACES.iter().map(|(place, _)| *place).collect();
        let template = Template::new(words(&all)).unwrap();
        for (input, parts) in [
            ("in/a.tar.gz", ["in/a.tar.gz", "in/a.tar", "a.tar.gz", "in", "a.tar", "7"]),
            ("a", ["a", "a", "a", ".", "a", "7"]),
            ("/a.b/c", ["/a.b/c", "/a.b/c", "c", "/a.b", "c", "7"]),
            ("/.profile", ["/.profile", "/.profile", ".profile", "/", ".profile", "7"]),
            ("ä/ö.ü", ["ä/ö.ü", "ä/ö", "ö.ü", "ä", "ö", "7"]),
        ] {
            assert_eq!(template.fill(input, 7), words(&parts), "{input}");
        }
    }
}
