//! Huge pages, where the machine has some to give: for what a fork server has initialised, and for large arguments and
//! results.
//!
//! Memory that is filled for the first time takes a fault for each page, or the kernel allocates each page of a file
//! alone, which is three times the time of the copy. What is asked for here takes no setting of the machine; where it is
//! refused everything works as well, and takes longer.

#[cfg(feature = "worker")]
mod maps;

#[cfg(feature = "worker")]
pub(crate) use maps::Maps;

/// Bytes of a huge page.
pub(super) const HUGE_BYTES: usize = 2 << 20;

/// Advice since Linux 6.1 that makes huge pages of what is there, whatever the machine does by itself.
const MADV_COLLAPSE: libc::c_int = 25;

/// Asks for huge pages where this memory, which is about to be filled for the first time, is long enough for some.
#[cfg(feature = "worker")]
pub(crate) fn expect_writes(memory: &mut [u8]) {
    let start = memory.as_mut_ptr();
    let skipped = start.align_offset(HUGE_BYTES);
    let bytes = memory.len().saturating_sub(skipped) / HUGE_BYTES * HUGE_BYTES;
    if bytes > 0 {
        // SAFETY: the range lies within `memory`, and the advice does not change what it holds. It may be refused.
        let _ = unsafe { libc::madvise(start.add(skipped).cast(), bytes, libc::MADV_HUGEPAGE) };
    }
}

/// Makes huge pages of this memory, which begins and ends at borders of huge pages; true when all of it is.
pub(super) fn join(memory: &mut [u8]) -> bool {
    // SAFETY: the advice does not change what the memory holds, and is refused for what has no such borders.
    unsafe { libc::madvise(memory.as_mut_ptr().cast(), memory.len(), MADV_COLLAPSE) == 0 }
}
