//! What the compiler says about wrong uses of `#[task]`, as an author reads it. The macro's own unit tests have all
//! of them; here are those that only the type checker sees, and one of each kind for the way it looks.
//!
//! After a change of a message: `TRYBUILD=overwrite cargo test -p wasmpool-guest --test refused`.

#![forbid(unsafe_code)]

#[test]
fn wrong_tasks_are_errors_where_they_are_wrong() {
    trybuild::TestCases::new().compile_fail("tests/refused/*.rs");
}
