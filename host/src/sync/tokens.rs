//! Which tokens are in use in this program. All supervisors share them, because they may share objects.

#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use super::Token;

#[derive(Default)]
struct Tokens {
    last: u32,
    used: HashSet<Token>,
    /// Those of `used` that act in this process.
    of_the_host: HashSet<Token>,
    /// Never given out again.
    retired: HashSet<Token>,
}

impl Tokens {
    fn take(&mut self) -> Token {
        loop {
            // The largest is the repairer's.
            self.last = self.last % (Token::MAX - 1) + 1;
            let token = Token::new(self.last).expect("it is between 1 and the largest");
            if !self.retired.contains(&token) && self.used.insert(token) {
                return token;
            }
        }
    }
}

static TOKENS: LazyLock<Mutex<Tokens>> = LazyLock::new(Mutex::default);

fn tokens() -> MutexGuard<'static, Tokens> {
    // A panic between two lines of this file leaves the set as it was.
    TOKENS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A token that nobody has.
pub(crate) fn take() -> Token {
    tokens().take()
}

/// A token that nobody has, for somebody who acts in this process.
pub(crate) fn take_for_the_host() -> Token {
    let mut tokens = tokens();
    let token = tokens.take();
    tokens.of_the_host.insert(token);
    token
}

/// The token is free again: everything that it held was given back.
pub(crate) fn give_back(token: Token) {
    let mut tokens = tokens();
    tokens.used.remove(&token);
    tokens.of_the_host.remove(&token);
}

/// Whether its owner acts in this process.
pub(crate) fn is_of_the_host(token: Token) -> bool {
    tokens().of_the_host.contains(&token)
}

/// An object still holds something for this token, which could not be given back. Nobody gets the token again, so
/// nobody is taken for its owner. Once its owner gives it back it counts as dead, and the next recovery of the
/// object gives back what it held.
pub(crate) fn retire(token: Token) {
    tokens().retired.insert(token);
}

/// Whether somebody has it.
pub(crate) fn is_alive(token: Token) -> bool {
    tokens().used.contains(&token)
}

/// The token of this thread of the host program, for as long as the thread lives. While the thread's own values
/// are dropped there may be none any more: then each call takes another one, which is never given back.
pub(crate) fn of_this_thread() -> Token {
    struct OfThread(Token);

    impl Drop for OfThread {
        fn drop(&mut self) {
            give_back(self.0);
        }
    }

    thread_local! {
        static OWN: OfThread = OfThread(take_for_the_host());
    }
    OWN.try_with(|own| own.0).unwrap_or_else(|_| take_for_the_host())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::sync::mpsc::{Sender, channel};

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
    fn a_retired_token_is_never_given_out_again() {
        let mut tokens = Tokens::default();
        let retired = tokens.take();
        tokens.retired.insert(retired);
        tokens.used.remove(&retired);
        tokens.last = 0;
        assert_ne!(tokens.take(), retired);
    }

    #[test]
    fn a_thread_has_a_token_to_its_very_end() {
        struct Last(RefCell<Option<Sender<Token>>>);

        impl Drop for Last {
            fn drop(&mut self) {
                let sender = self.0.take().expect("the thread set it");
                sender.send(of_this_thread()).expect("the test waits for it");
            }
        }

        thread_local! {
            static LAST: Last = const { Last(RefCell::new(None)) };
        }
        let (sender, receiver) = channel();
        let thread = std::thread::spawn(move || {
            // Made before the thread's token, so dropped after it.
            LAST.with(|last| last.0.replace(Some(sender)));
            of_this_thread()
        });
        let (last, own) = (receiver.recv().unwrap(), thread.join().unwrap());
        assert!(last != own && is_alive(last) && !is_alive(own));
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
