//! The grammar, as a table of command lines.

use super::*;

fn line(words: &[&str]) -> Vec<OsString> {
    std::iter::once("wasmpool").chain(words.iter().copied()).map(OsString::from).collect()
}

fn run(words: &[&str]) -> Result<Run, String> {
    match parse(&line(words)) {
        Ok(Command::Run(run)) => Ok(run.0),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.to_string()),
    }
}

fn map(words: &[&str]) -> Result<Map, String> {
    match parse(&line(words)) {
        Ok(Command::Map(map)) => Ok(map.0),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn clap_finds_no_fault_in_the_definition() {
    grammar().debug_assert();
    RunWithEntry::command().debug_assert();
}

#[test]
fn a_command_says_what_it_is_and_not_what_the_last_of_its_options_are() {
    let about = |command: &clap::Command| command.get_about().map(ToString::to_string);
    let (first, whole) = (definition(), grammar());
    for command in first.get_subcommands() {
        let built = whole.find_subcommand(command.get_name()).unwrap();
        assert!(about(command).is_some() && about(command) == about(built), "{}", command.get_name());
        assert!(command.get_arguments().count() == 0 && built.get_arguments().count() > 1);
        assert_eq!(built.get_long_about(), None, "{}", command.get_name());
    }
}

#[test]
fn everything_after_the_module_goes_to_the_guest_unread() {
    let run =
        run(&["run", "--timeout", "2s", "tool.wasm", "-v", "--timeout", "x", "--", "-5", "-t"]).unwrap();
    assert_eq!(run.call.module, PathBuf::from("tool.wasm"));
    assert_eq!(run.call.arguments, ["-v", "--timeout", "x", "--", "-5", "-t"]);
    assert_eq!(run.task.timeout, Some(std::time::Duration::from_secs(2)));
    assert_eq!(run.common.verbose, 0);
}

#[test]
fn after_a_task_our_options_may_follow() {
    let run = run(&[
        "run", "-v", "m.wasm", "-t", "divide", "6", "--fuel", "7", "-3", "-k", "b=-1", "-1e-3", "-v", "--",
        "-x",
    ])
    .unwrap();
    assert_eq!(run.entry.task.as_deref(), Some("divide"));
    assert_eq!(run.call.arguments, ["6", "-3", "-1e-3", "-x"]);
    assert_eq!(run.entry.keywords, [("b".to_owned(), "-1".to_owned())]);
    assert_eq!(run.task.fuel, Some(7));
    assert_eq!(run.common.verbose, 2);
}

#[test]
fn a_task_may_be_written_in_every_usual_way() {
    for words in [&["-tx", "1"][..], &["--task", "x", "1"], &["--task=x", "1"], &["-t=x", "1"]] {
        let run = run(&[&["run", "m"], words].concat()).unwrap();
        assert_eq!((run.entry.task.as_deref(), run.call.arguments), (Some("x"), vec![OsString::from("1")]));
    }
    let invoked = run(&["run", "--", "m", "--invoke=add(1, 2)"]).unwrap();
    assert_eq!(invoked.entry.invoke.as_deref(), Some("add(1, 2)"));
}

#[test]
fn what_is_wrong_is_said() {
    let error = run(&["run", "-t", "square", "m", "3"]).unwrap_err();
    assert!(error.contains("stand directly after MODULE"), "{error}");
    let error = run(&["run", "m", "--invoke", "f()", "3"]).unwrap_err();
    assert!(error.contains("inside the expression"), "{error}");
    let error = run(&["run", "--timeout", "2", "m"]).unwrap_err();
    assert!(error.contains("with its unit"), "{error}");
    assert!(run(&["run"]).unwrap_err().contains("MODULE"));
    assert!(run(&["run", "--unknown", "m"]).unwrap_err().contains("--unknown"));
    assert!(run(&["run", "m", "-t", "x", "--unknown"]).unwrap_err().contains("--unknown"));
    assert!(run(&["run", "m", "-t", "x", "-k", "b"]).unwrap_err().contains("NAME=VALUE"));
    assert!(run(&["run", "-v", "-q", "m"]).is_err());
}

#[test]
fn options_of_map_stand_anywhere_before_the_dashes() {
    let map =
        map(&["map", "-j", "3", "m", "1", "-t", "square", "-5", "--unordered", "-1e-3", "--", "-x"]).unwrap();
    assert_eq!(map.inputs, ["1", "-5", "-1e-3"]);
    assert_eq!(map.template, ["-x"]);
    assert_eq!(map.task.as_deref(), Some("square"));
    assert_eq!(map.batch.workers.map(std::num::NonZeroUsize::get), Some(3));
    assert!(map.unordered);
}

#[test]
fn inputs_come_from_the_line_or_from_a_file() {
    assert!(map(&["map", "m", "-t", "x", "--from", "-", "1"]).is_err());
    assert_eq!(map(&["map", "m", "-t", "x", "--from", "-"]).unwrap().from, Some(PathBuf::from("-")));
    assert_eq!(map(&["map", "m", "a", "b", "--", "-n", "{}"]).unwrap().template, ["-n", "{}"]);
}

#[test]
fn the_later_option_wins() {
    assert_eq!(run(&["run", "--fuel", "1", "m", "-t", "x", "--fuel", "2"]).unwrap().task.fuel, Some(2));
    assert_eq!(map(&["map", "--fuel", "1", "m", "--fuel", "2"]).unwrap().task_options.fuel, Some(2));
}

#[test]
fn shared_objects_are_named_as_often_as_one_likes() {
    let words =
        ["run", "--queue", "a:5", "--lock", "l", "m", "-t", "x", "--queue", "b", "--semaphore", "s:2"];
    let shared = run(&words).unwrap().shared;
    assert_eq!(shared.queues, [("a".to_owned(), Some(5)), ("b".to_owned(), None)]);
    assert_eq!((shared.locks, shared.semaphores), (vec!["l".to_owned()], vec![("s".to_owned(), 2)]));
    let shared = run(&["run", "--event", "e", "m", "--barrier", "b:2"]).unwrap().shared;
    assert_eq!((shared.events, shared.barriers), (vec!["e".to_owned()], vec![]));
    let map = map(&["map", "m", "--queue", "a", "--queue", "b", "--feed", "a", "--drain", "b"]).unwrap();
    assert_eq!(map.shared.queues.len(), 2);
    assert_eq!((map.streams.feed.as_deref(), map.streams.drain.as_deref()), (Some("a"), Some("b")));
    assert!(run(&["run", "--feed", "a", "m"]).unwrap_err().contains("--feed"));
    assert!(run(&["run", "--barrier", "b", "m"]).unwrap_err().contains("NAME:N"));
}

#[test]
fn grants_are_named_as_often_as_one_likes() {
    let hosts = |grants: &GrantOptions| {
        let names = grants.dirs.iter().map(|dir| dir.host.display().to_string());
        let names = names.chain(grants.env.iter().map(|variable| variable.name.clone()));
        names.chain(grants.nets.iter().map(|net| net.host.clone())).collect::<Vec<_>>()
    };
    let words = [
        "run", "--dir", "a", "--env", "X=1", "--net", "c:1", "m", "-t", "x", "--dir", "b:ro", "--env", "Y",
        "--net", "*:2",
    ];
    assert_eq!(hosts(&run(&words).unwrap().grants), ["a", "b", "X", "Y", "c", "*"]);
    let words =
        ["map", "--dir", "a", "m", "-t", "x", "1", "--dir", "b::/b", "--cpu-time", "2s", "--net=udp:[::1]:5"];
    let map = map(&words).unwrap();
    assert_eq!(hosts(&map.grants), ["a", "b", "::1"]);
    assert_eq!(map.task_options.cpu_time, Some(std::time::Duration::from_secs(2)));
}

#[test]
fn help_has_one_section_for_what_is_shared() {
    let help = parse(&line(&["map", "--help"])).unwrap_err().to_string();
    assert_eq!(help.matches("Queues, locks and the like:").count(), 1, "{help}");
    let section = help.split("Queues, locks and the like:").nth(1).unwrap();
    let options = ["--queue", "--lock", "--semaphore", "--event", "--barrier", "--feed", "--drain"];
    let places: Vec<_> = options.map(|option| section.find(option).unwrap()).to_vec();
    assert!(places.is_sorted(), "{help}");
}

#[test]
fn usage_errors_of_run_have_a_code_that_no_guest_has() {
    assert_eq!(usage_code(&line(&["run", "--unknown"])), 246);
    assert_eq!(usage_code(&line(&["map", "--unknown"])), 2);
    assert_eq!(usage_code(&line(&["unknown"])), 2);
}

#[test]
fn the_version_is_at_the_end() {
    let error = parse(&line(&["--version"])).unwrap_err().to_string();
    assert!(error.trim_end().ends_with(env!("CARGO_PKG_VERSION")), "{error}");
}

#[test]
fn help_has_the_exit_codes_and_is_asked_for_in_both_steps() {
    for words in [&["run", "--help"][..], &["run", "m", "-t", "x", "--help"]] {
        let help = parse(&line(words)).unwrap_err().to_string();
        assert!(help.contains("219      any other trap"), "{help}");
        assert!(help.contains("wasmpool run [OPTIONS] MODULE -t TASK"), "{help}");
    }
    let help = parse(&line(&["map", "--help"])).unwrap_err().to_string();
    assert!(help.contains("106      halted"), "{help}");
}

#[test]
fn help_of_the_guest_is_the_guests() {
    assert_eq!(run(&["run", "m", "--help"]).unwrap().call.arguments, ["--help"]);
}
