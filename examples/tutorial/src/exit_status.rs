//! Exit status: `p.exitcode` after `p.join()`.

use wasmpool_guest::{exit, task};

/// `sys.exit(1)`: exit code 1.
#[task]
fn exit_error() -> ! {
    exit(1)
}

/// Returns without a value: exit code 0.
#[task]
fn exit_ok() {}

/// Returns a value: exit code 0. In Python nobody sees the value; here it is the result.
#[task]
fn return_value() -> u32 {
    1
}

/// `raise RuntimeError("There was an error!")`: exit code 1, and the text is the error.
#[task]
fn raises() -> Result<(), String> {
    Err("There was an error!".to_owned())
}

/// What Python has no counterpart for: a broken promise of the program itself. A trap, exit code 200, with the text.
#[task]
fn panics() {
    panic!("There was an error!");
}

/// Sleeps until it is terminated: exit code -15 in Python, an outcome of its own here.
#[task]
fn terminated(#[default(3.0)] seconds: f64) {
    crate::sleep(seconds);
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmpool_guest::testing::Host;

    #[test]
    fn each_ends_in_its_own_way() {
        assert_eq!(Host::new().run(|| exit_error()).exit_code(), Some(1));
        assert_eq!(Host::new().run(exit_ok).exit_code(), None);
        assert_eq!(return_value(), 1);
        assert_eq!(raises(), Err("There was an error!".to_owned()));
        terminated(0.0);
    }

    #[test]
    #[should_panic = "There was an error!"]
    fn a_panic() {
        panics();
    }
}
