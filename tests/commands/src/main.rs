//! A WASI command that looks at preview 1 from the inside. The first argument names a behaviour of the table below; the
//! others are the behaviour's own. What is not as it should be is a panic that says so.
//!
//! Built twice: as a core module for `wasm32-wasip1`, and as a component for `wasm32-wasip2`, where the toolchain's adapter
//! makes preview 2 of every call.

mod clocks;
mod directories;
mod files;
mod given;
mod links;
mod polling;
mod random;
mod raw;
mod streams;
mod times;

/// True in the component. Where its adapter has a way of its own, whatever the host does, a behaviour asks for less.
const IS_ADAPTED: bool = cfg!(target_env = "p2");

/// Takes the arguments behind its name.
type Behaviour = fn(&[String]);

/// Each behaviour, and what the command line calls it.
const BEHAVIOURS: &[(&str, Behaviour)] = &[
    ("arguments", given::arguments),
    ("variables", given::variables),
    ("preopens", given::preopens),
    ("leaving", given::leaving),
    ("exit", given::exit),
    ("panic", given::panic),
    ("return", given::nothing),
    ("open_flags", files::open_flags),
    ("seeking", files::seeking),
    ("parts", files::parts),
    ("appending", files::appending),
    ("positions", files::positions),
    ("sizes", files::sizes),
    ("flags_and_rights", files::flags_and_rights),
    ("what_a_file_is", files::what_a_file_is),
    ("descriptors", files::descriptors),
    ("read_only", files::read_only),
    ("fill", files::fill),
    ("making_directories", directories::making),
    ("listing", directories::listing),
    ("renaming", directories::renaming),
    ("two_directories", directories::two),
    ("slashes", directories::slashes),
    ("symbolic_links", links::symbolic),
    ("loops", links::loops),
    ("dangling", links::dangling),
    ("hard_links", links::hard),
    ("links_that_lead_out", links::out),
    ("setting_times", times::setting),
    ("contradictory_times", times::contradictory),
    ("waiting", polling::waiting),
    ("until", polling::until),
    ("several", polling::several),
    ("input_or_clock", polling::input_or_clock),
    ("no_input", polling::no_input),
    ("bad_subscriptions", polling::bad),
    ("clocks", clocks::clocks),
    ("random", random::random),
    ("copy", streams::copy),
    ("both_outputs", streams::both_outputs),
    ("stream_kinds", streams::kinds),
    ("closed_streams", streams::closed),
];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let name = arguments.get(1).expect("the first argument names a behaviour");
    let behaviour = BEHAVIOURS.iter().find(|(known, _)| known == name);
    let (_, run) = behaviour.unwrap_or_else(|| panic!("there is no behaviour `{name}`"));
    run(&arguments[2..]);
}
