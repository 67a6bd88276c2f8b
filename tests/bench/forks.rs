//! The limit of what a kernel can do: processes that are forked, end, and are waited for, by two processes at once. Each has
//! as much memory of its own as a fork server of ours has.

use std::process::Command;
use std::time::Instant;

/// Makes this program one that forks.
pub const FORK: &str = "only-fork";
const AT_ONCE: usize = 2;

/// Nanoseconds for each of `n` processes.
pub fn time(n: u64, private_bytes: usize) -> f64 {
    let own = std::env::current_exe().expect("a program knows its own file");
    let each = n / AT_ONCE as u64;
    let began = Instant::now();
    let forking = (0..AT_ONCE).map(|_| {
        let mut command = Command::new(&own);
        command.args([FORK, &each.to_string(), &private_bytes.to_string()]).spawn().expect("it starts")
    });
    let forking: Vec<_> = forking.collect();
    for mut child in forking {
        assert!(child.wait().expect("it ends").success(), "every fork succeeds");
    }
    began.elapsed().as_nanos() as f64 / (each * AT_ONCE as u64) as f64
}

/// Forks `n` times, with this much memory that was written to.
pub fn fork(n: u64, private_bytes: usize) {
    let memory = std::hint::black_box(vec![1_u8; private_bytes]);
    for _ in 0..n {
        // SAFETY: this process has one thread; the child ends at once, and is waited for by its number.
        unsafe {
            let child = libc::fork();
            if child == 0 {
                libc::_exit(0);
            }
            assert!(child > 0 && libc::waitpid(child, std::ptr::null_mut(), 0) == child, "a child of ours");
        }
    }
    drop(memory);
}
