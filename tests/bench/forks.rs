//! The limits of what a kernel can do: processes that are forked, end, and are waited for, by two processes at once. Each has
//! as much memory of its own as a fork server of ours has. They do nothing, or what no worker can be without: they are given
//! a packet, write to as many pages as a worker has faults, and answer.

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Instant;

/// Makes this program one that forks.
pub const FORK: &str = "only-fork";
const AT_ONCE: usize = 2;
const PAGE_BYTES: usize = 4096;

/// What each process does.
#[derive(Clone, Copy, Debug)]
pub enum Work {
    Nothing,
    /// It gets a packet, writes to as many pages, and sends a packet.
    Pages(usize),
}

/// Nanoseconds for each of `n` processes.
pub fn time(n: u64, private_bytes: usize, work: Work) -> f64 {
    let own = std::env::current_exe().expect("a program knows its own file");
    let each = n / AT_ONCE as u64;
    let began = Instant::now();
    let forking = (0..AT_ONCE).map(|_| {
        let mut command = Command::new(&own);
        let pages = match work {
            Work::Nothing => 0,
            Work::Pages(pages) => pages,
        };
        let numbers = [each.to_string(), private_bytes.to_string(), pages.to_string()];
        command.arg(FORK).args(numbers).spawn().expect("it starts")
    });
    let forking: Vec<_> = forking.collect();
    for mut child in forking {
        assert!(child.wait().expect("it ends").success(), "every fork succeeds");
    }
    began.elapsed().as_nanos() as f64 / (each * AT_ONCE as u64) as f64
}

/// Forks `n` times, with this much memory that was written to. Each child writes to `pages` of it, between two packets.
pub fn fork(n: u64, private_bytes: usize, pages: usize) {
    let mut memory = std::hint::black_box(vec![1_u8; private_bytes]);
    let (ours, theirs) = UnixDatagram::pair().expect("two sockets");
    let mut packet = [0; 64];
    for _ in 0..n {
        // SAFETY: this process has one thread, so its child may go on as it would; it ends without going back, and is
        // waited for by its number.
        unsafe {
            let child = libc::fork();
            if child == 0 {
                if pages > 0 {
                    theirs.recv(&mut packet).expect("a packet");
                    memory.chunks_mut(PAGE_BYTES).take(pages).for_each(|page| page[0] = packet[0]);
                    std::hint::black_box(&mut memory);
                    theirs.send(&packet).expect("its parent waits");
                }
                libc::_exit(0);
            }
            if pages > 0 {
                ours.send(&packet).expect("its child waits");
                ours.recv(&mut packet).expect("a packet");
            }
            assert!(child > 0 && libc::waitpid(child, std::ptr::null_mut(), 0) == child, "a child of ours");
        }
    }
}
