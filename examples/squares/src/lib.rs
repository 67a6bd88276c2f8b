//! The smallest useful plugin: two tasks over numbers, one of which can fail.

#![forbid(unsafe_code)]

use wasmpool_guest::task;

/// The square of a number.
#[task]
fn square(n: i64) -> i64 {
    n * n
}

/// How often `b` fits into `a`.
#[task]
fn divide(a: i64, b: i64) -> Result<i64, String> {
    if b == 0 {
        return Err(format!("cannot divide {a} by zero"));
    }
    a.checked_div(b).ok_or_else(|| format!("{a} divided by {b} does not fit into 64 bits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squares() {
        assert_eq!([1, 2, 3, 4, 5].map(square), [1, 4, 9, 16, 25]);
        assert_eq!(square(-3), 9);
    }

    #[test]
    #[should_panic = "overflow"]
    fn a_square_that_does_not_fit_is_a_panic() {
        square(i64::MAX);
    }

    #[test]
    fn division() {
        assert_eq!(divide(7, 2), Ok(3));
        assert_eq!(divide(1, 0), Err("cannot divide 1 by zero".into()));
        assert!(divide(i64::MIN, -1).is_err());
    }
}
