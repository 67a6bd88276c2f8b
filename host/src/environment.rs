//! The environment variables that a task is given.

#![forbid(unsafe_code)]

use crate::limits::ENVIRONMENT_BYTES_MAX;

/// Why variables cannot be a task's environment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvironmentError {
    /// No variable can have that name.
    #[error("{0:?} is no name for an environment variable: it is empty, or has `=` or a NUL byte")]
    Name(String),
    /// The value of this variable has a NUL byte.
    #[error("the value of the environment variable `{0}` has a NUL byte")]
    Value(String),
    /// All of them together have too many bytes.
    #[error("the environment has {0} bytes, more than the limit of {ENVIRONMENT_BYTES_MAX}")]
    Large(usize),
}

/// The variables with each name once: the last one counts, in the place of the first.
pub(crate) fn unique(variables: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut unique: Vec<(String, String)> = Vec::with_capacity(variables.len());
    for (name, value) in variables {
        match unique.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => unique.push((name, value)),
        }
    }
    unique
}

/// Whether they can be given to a task.
pub(crate) fn check(variables: &[(String, String)]) -> Result<(), EnvironmentError> {
    let mut bytes = 0_usize;
    for (name, value) in variables {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(EnvironmentError::Name(name.clone()));
        }
        if value.contains('\0') {
            return Err(EnvironmentError::Value(name.clone()));
        }
        // As a guest gets them: `NAME=VALUE` and a NUL byte.
        bytes = bytes.saturating_add(name.len() + value.len() + 2);
    }
    if bytes > ENVIRONMENT_BYTES_MAX { Err(EnvironmentError::Large(bytes)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_last_value_of_a_name_counts() {
        let unique = unique(variables(&[("A", "1"), ("B", "2"), ("A", "3"), ("", "x")]));
        assert_eq!(unique, variables(&[("A", "3"), ("B", "2"), ("", "x")]));
    }

    #[test]
    fn names_and_values_that_no_environment_has_are_refused() {
        assert_eq!(check(&variables(&[("A", ""), ("b.c", "=x= \n")])), Ok(()));
        for name in ["", "A=B", "A\0"] {
            assert_eq!(check(&variables(&[(name, "1")])), Err(EnvironmentError::Name(name.to_owned())));
        }
        assert_eq!(check(&variables(&[("A", "\0")])), Err(EnvironmentError::Value("A".to_owned())));
        let shown = check(&variables(&[("A\0", "1")])).unwrap_err().to_string();
        assert!(shown.contains(r#""A\0""#), "{shown}");
    }

    #[test]
    fn all_of_them_together_have_a_limit() {
        let fits = "x".repeat(ENVIRONMENT_BYTES_MAX - 3);
        assert_eq!(check(&variables(&[("A", &fits)])), Ok(()));
        let over = ENVIRONMENT_BYTES_MAX + 3;
        assert_eq!(check(&variables(&[("A", &fits), ("B", "")])), Err(EnvironmentError::Large(over)));
    }
}
