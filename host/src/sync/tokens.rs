//! Which tokens are in use in this program. All supervisors share them, because they may share objects.

#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use super::Token;

#[derive(Default)]
struct Tokens {
    last: u32,
    used: HashSet<Token>,
}

static TOKENS: LazyLock<Mutex<Tokens>> = LazyLock::new(Mutex::default);

fn tokens() -> MutexGuard<'static, Tokens> {
    // A panic between two lines of this file leaves the set as it was.
    TOKENS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A token that nobody has.
pub(crate) fn take() -> Token {
    let mut tokens = tokens();
    loop {
        // The largest is the repairer's.
        tokens.last = tokens.last % (Token::MAX - 1) + 1;
        let token = Token::new(tokens.last).expect("it is between 1 and the largest");
        if tokens.used.insert(token) {
            return token;
        }
    }
}

/// The token is free again: everything that it held was given back.
pub(crate) fn give_back(token: Token) {
    tokens().used.remove(&token);
}

/// Whether somebody has it.
pub(crate) fn is_alive(token: Token) -> bool {
    tokens().used.contains(&token)
}

/// The token of this thread of the host program, for as long as the thread lives.
pub(crate) fn of_this_thread() -> Token {
    struct OfThread(Token);

    impl Drop for OfThread {
        fn drop(&mut self) {
            give_back(self.0);
        }
    }

    thread_local! {
        static OWN: OfThread = OfThread(take());
    }
    OWN.with(|own| own.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_nobody_elses_until_it_is_given_back() {
        let (first, second) = (take(), take());
        assert_ne!(first, second);
        assert!(is_alive(first) && is_alive(second));
        give_back(first);
        assert!(!is_alive(first) && is_alive(second));
        give_back(second);
    }

    #[test]
    fn a_threads_token_ends_with_the_thread() {
        let own = of_this_thread();
        assert_eq!(own, of_this_thread());
        let other = std::thread::spawn(of_this_thread).join().unwrap();
        assert_ne!(own, other);
        assert!(!is_alive(other));
    }
}
