//! How this crate's test program can be a process of ours: a function that runs before `main`.
//!
//! The test harness runs each test in a thread, and a fork server has one thread. Spawning the test
//! program again with the role's marker in its environment ends here, before the harness begins.

/// The C library calls what is in this section before `main`.
#[used]
#[unsafe(link_section = ".init_array")]
static ENTRY: extern "C" fn() = entry;

extern "C" fn entry() {
    let role = std::env::var(super::child::ROLE_VARIABLE).ok();
    if let Some(role) = role.as_deref().and_then(crate::worker::Role::from_name) {
        crate::worker::child_main(role);
    }
}
