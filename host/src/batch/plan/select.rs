//! Which tasks of a manifest are run: `--only` and `--skip`.

#![forbid(unsafe_code)]

use glob::Pattern;

/// Patterns of names: of a task as it stands in the manifest, or of one that its matrix made of it.
#[derive(Clone, Debug, Default)]
pub struct Select {
    only: Vec<Pattern>,
    skip: Vec<Pattern>,
}

impl Select {
    /// Reads the patterns: `*` is any text, `?` any character, `[ab]` one of these.
    ///
    /// # Errors
    ///
    /// What is wrong with one of them.
    pub fn new(only: &[String], skip: &[String]) -> Result<Self, String> {
        let read = |patterns: &[String]| {
            let one = |text: &String| Pattern::new(text).map_err(|error| format!("`{text}`: {error}"));
            patterns.iter().map(one).collect::<Result<Vec<_>, _>>()
        };
        Ok(Self { only: read(only)?, skip: read(skip)? })
    }

    /// Whether every task is run.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.only.is_empty() && self.skip.is_empty()
    }

    /// Whether this task of this entry is run.
    #[must_use]
    pub fn takes(&self, entry: &str, task: &str) -> bool {
        let any = |patterns: &[Pattern]| {
            patterns.iter().any(|pattern| pattern.matches(entry) || pattern.matches(task))
        };
        (self.only.is_empty() || any(&self.only)) && !any(&self.skip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_taken_by_their_own_name_or_their_entrys() {
        let select = |only: &[&str], skip: &[&str]| {
            let own = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
            Select::new(&own(only), &own(skip)).unwrap()
        };
        assert!(select(&[], &[]).takes("a", "a(1)"));
        assert!(select(&["a"], &[]).takes("a", "a(1)"));
        assert!(select(&["a(*,2)"], &[]).takes("a", "a(in/x,2)"));
        assert!(!select(&["a(*,2)"], &[]).takes("a", "a(in/x,3)"));
        assert!(!select(&["a"], &["a(1)"]).takes("a", "a(1)"));
        assert!(!select(&["b"], &[]).takes("a", "a"));
        assert!(Select::new(&["[".to_owned()], &[]).is_err());
    }
}
