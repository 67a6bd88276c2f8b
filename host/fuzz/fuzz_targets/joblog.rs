//! Job logs as another run finds them: torn, written over, or something else.
//!
//! What is read has the bytes that it says it has, and its whole records alone say the same.

#![no_main]

use wasmpool::batch::joblog::recover::recover;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(recovery) = recover(data) else { return };
    assert_eq!(recovery.whole_bytes() + recovery.torn_bytes(), data.len() as u64);
    let whole = usize::try_from(recovery.whole_bytes()).expect("a length");
    let again = recover(&data[..whole]).expect("what was read is read");
    assert_eq!((again.finished(), again.failed()), (recovery.finished(), recovery.failed()));
    assert_eq!((again.cut_off(), again.torn_bytes()), (recovery.cut_off(), 0));
});
