//! The command line of a WASI command with a place for each input: `-- convert {} out/{}.png`.

#![forbid(unsafe_code)]

/// What stands where an input goes.
pub const PLACE: &str = "{}";

/// A command line with at least one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<String>);

/// The arguments name no place for the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("none of the arguments after `--` says where each input goes: write `{{}}` in one of them")]
pub struct NoPlace;

impl Template {
    /// The arguments after `--`.
    ///
    /// # Errors
    ///
    /// When none of them contains `{}`: every task would be the same.
    pub fn new(arguments: Vec<String>) -> Result<Self, NoPlace> {
        if arguments.iter().any(|argument| argument.contains(PLACE)) {
            Ok(Self(arguments))
        } else {
            Err(NoPlace)
        }
    }

    /// The arguments for one input. The input is put in as it is, never split or read again.
    #[must_use]
    pub fn fill(&self, input: &str) -> Vec<String> {
        self.0.iter().map(|argument| argument.replace(PLACE, input)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_gets_the_input_verbatim() {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let template = Template::new(words(&["-v", "{}", "out/{}.{}"])).unwrap();
        assert_eq!(template.fill("a b"), words(&["-v", "a b", "out/a b.a b"]));
        assert_eq!(template.fill("{}"), words(&["-v", "{}", "out/{}.{}"]));
        assert_eq!(Template::new(words(&["-v"])), Err(NoPlace));
    }
}
