//! What counts more, and what is wrong, as a table of command lines, variables and files.

use super::*;

fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

/// The completed line, without the program's name; or what is wrong.
fn completed(line: &str, variables: &[(&str, &str)], file: &str) -> Result<Completed, String> {
    let line = words(&[vec!["wasmpool"], line.split(' ').collect()].concat());
    let typed = arguments::typed(&line).expect("it has a command");
    let options = Options::of(&arguments::grammar());
    let of_command = options.of_command(&typed.command).expect("it reads options from elsewhere");
    let variables: Vec<_> =
        variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect();
    let from_environment = environment::read(of_command, &variables)?;
    let from_file = file::parse(file, "config.toml", &options, &typed.command)
        .map_err(|mistakes| mistakes.render("config.toml", file))?;
    let unknown = environment::unknown(&options, &variables);
    Ok(put_together(&line, &typed, of_command, from_environment, from_file).with_unknown(unknown))
}

fn line(typed: &str, variables: &[(&str, &str)], file: &str) -> String {
    let completed = completed(typed, variables, file).unwrap_or_else(|error| panic!("{error}"));
    arguments::parse(&completed.line).unwrap_or_else(|error| panic!("{error}"));
    let words: Vec<_> = completed.line[1..].iter().map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}

#[test]
fn what_was_typed_counts_more_than_a_variable_and_that_more_than_the_file() {
    let file = "timeout = '3s'\nfuel = 3\nmax_memory = '3MiB'\n[run]\ncpu_time = '3s'\nfuel = 4\n[map]\nunordered = true\n";
    let variables = [("WASMPOOL_TIMEOUT", "2s"), ("WASMPOOL_FUEL", ""), ("WASMPOOL_MAX_MEMORY", "2MiB")];
    let completed = line("run --max-memory 1MiB m.wasm", &variables, file);
    assert_eq!(completed, "run --timeout=2s --cpu-time=3s --fuel=4 --max-memory 1MiB m.wasm");
    // After -t our options may follow MODULE, and are typed too.
    let completed = line(
        "run m.wasm -t f -1e-3 --timeout 1s --dir a",
        &[("WASMPOOL_TIMEOUT", "2s"), ("WASMPOOL_DIR", "b;c:ro")],
        "",
    );
    assert_eq!(completed, "run m.wasm -t f -1e-3 --timeout 1s --dir a");
    // What the guest is given is not ours.
    let completed = line("run m.wasm --timeout 1s", &[("WASMPOOL_TIMEOUT", "2s")], "");
    assert_eq!(completed, "run --timeout=2s m.wasm --timeout 1s");
    assert_eq!(
        line("map m.wasm -t f -1e-3 -5", &[], file),
        "map --unordered --fuel=3 --max-memory=3MiB --timeout=3s m.wasm -t f -1e-3 -5"
    );
}

#[test]
fn flags_counts_and_lists_have_their_own_words() {
    let of = |name: &str, value: &str| line("map m 1", &[(name, value)], "");
    assert_eq!(of("WASMPOOL_QUIET", "1"), "map --quiet m 1");
    assert_eq!(of("WASMPOOL_QUIET", "false"), "map m 1");
    assert_eq!(of("WASMPOOL_VERBOSE", "2"), "map --verbose --verbose m 1");
    assert_eq!(of("WASMPOOL_FILE", "a:ro;b=c;"), "map --file=a:ro --file=b=c m 1");
    assert_eq!(of("WASMPOOL_DETERMINISTIC", "7"), "map --deterministic=7 m 1");
    assert_eq!(of("WASMPOOL_TASK", "f"), "map m 1");
    assert_eq!(of("WASMPOOL_CHILD", "worker"), "map m 1");
    // A variable that turns a flag off counts more than a file that turns it on.
    assert_eq!(
        line("map m 1", &[("WASMPOOL_QUIET", "0")], "quiet = true\nwasm_feature = ['memory64']"),
        "map --wasm-feature=memory64 m 1"
    );
}

#[test]
fn what_does_not_go_with_what_was_typed_is_left_out() {
    assert_eq!(line("map -v m 1", &[("WASMPOOL_QUIET", "1")], ""), "map -v m 1");
    assert_eq!(line("map m 1", &[("WASMPOOL_FROM", "f")], ""), "map m 1");
    assert_eq!(
        line("batch --halt now,fail=1 b", &[("WASMPOOL_MAX_FAIL", "3")], ""),
        "batch --halt now,fail=1 b"
    );
    assert_eq!(line("batch --schema", &[("WASMPOOL_WORKERS", "3")], ""), "batch --schema");
    // Without a job log there is nothing to go on with.
    let variables =
        [("WASMPOOL_RESUME", "1"), ("WASMPOOL_RETRY_FAILED", "1"), ("WASMPOOL_JOBLOG_SYNC", "off")];
    assert_eq!(line("map m 1", &variables, ""), "map m 1");
    assert_eq!(
        line("map --joblog l m 1", &variables, ""),
        "map --resume --retry-failed --joblog-sync=off --joblog l m 1"
    );
}

#[test]
fn what_a_manifest_may_say_too_counts_more_than_the_file_and_less_than_a_variable() {
    let file = "timeout = '3s'\nretries = 3\ncolor = 'never'\nstdin = 'x'\n";
    let completed = completed("batch b.toml", &[("WASMPOOL_RETRIES", "2")], file).unwrap();
    assert_eq!(completed.line, words(&["wasmpool", "batch", "--retries=2", "--color=never", "b.toml"]));
    assert_eq!(completed.below, Some(words(&["wasmpool", "batch", "--timeout=3s", "-"])));
    // Without a manifest there is none to count more.
    assert_eq!(line("run m", &[], file), "run --color=never --retries=3 --stdin=x --timeout=3s m");
}

#[test]
fn a_wrong_value_is_told_with_its_variable() {
    for (name, value, says) in [
        (
            "WASMPOOL_MAX_MEMORY",
            "lots",
            "the variable WASMPOOL_MAX_MEMORY is `lots`: write a number of bytes",
        ),
        ("WASMPOOL_QUIET", "yes", "the variable WASMPOOL_QUIET is `yes`: write 1 or true"),
        ("WASMPOOL_VERBOSE", "x", "write how often, from 0 to 9"),
        ("WASMPOOL_COLOR", "red", "write one of auto, always, never"),
        ("WASMPOOL_SANDBOX", "none", "write one of required, best-effort, off"),
        ("WASMPOOL_DIR", "a;b:rw", "`:rw` is unknown"),
        ("WASMPOOL_HALT", "x", "WASMPOOL_HALT is `x`"),
    ] {
        let error = completed("map m 1", &[(name, value)], "").unwrap_err();
        assert!(error.contains(says) && error.lines().count() == 1, "{error}");
    }
    let unknown =
        completed("run m", &[("WASMPOOL_MAX_MEMROY", "1"), ("WASMPOOL_PROGRAM", "x")], "").unwrap().unknown;
    assert_eq!(
        unknown,
        ["the variable WASMPOOL_MAX_MEMROY belongs to no option, did you mean `WASMPOOL_MAX_MEMORY`?"]
    );
}

#[test]
fn everything_wrong_with_the_file_is_told_with_its_place() {
    let file = "max_memroy = '1MiB'\ntimeout = 2\nquiet = 1\ndir = 'a'\nwasm_feature = ['x']\n[run]\nunordered = true\n\
                [mpa]\n[map]\ncolor = 'red'\nstarmap = [1]\n";
    let error = completed("run m", &[], file).unwrap_err();
    for says in [
        "config.toml:1:1: unknown key `max_memroy`, did you mean `max_memory`?",
        "config.toml:2:11: `timeout` is `2`: write a time with its unit",
        "config.toml:3:9: `quiet` takes true or false",
        "config.toml:4:7: `dir` takes a list such as dir = [\"...\"]",
        "config.toml:5:17: `wasm_feature` is `x`",
        "config.toml:7:1: unknown key `unordered`: `wasmpool run` has no such option",
        "unknown key `mpa`, did you mean `map`?",
        "config.toml:10:9: `color` is `red`: write one of auto, always, never",
        "`starmap` takes true or false",
    ] {
        assert!(error.contains(says), "{says}\n{error}");
    }
    let error = completed("run m", &[], "timeout = ").unwrap_err();
    assert!(error.starts_with("config.toml:1:11: not TOML: "), "{error}");
}

#[test]
fn no_file_of_the_current_folder_is_found_by_itself() {
    let path = |variables: &[(&str, &str)]| {
        let variables: Vec<_> =
            variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect();
        path(&Typed::default(), &variables).map(|(path, is_named)| (path.display().to_string(), is_named))
    };
    let found = |text: &str, is_named| Some((text.to_owned(), is_named));
    assert_eq!(path(&[("HOME", "/h")]), found("/h/.config/wasmpool/config.toml", false));
    assert_eq!(path(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/x")]), found("/x/wasmpool/config.toml", false));
    assert_eq!(path(&[("HOME", "h"), ("XDG_CONFIG_HOME", ".")]), None);
    assert_eq!(path(&[]), None);
    assert_eq!(path(&[("HOME", "/h"), ("WASMPOOL_CONFIG", "c.toml")]), found("c.toml", true));
    assert_eq!(path(&[("HOME", "/h"), ("WASMPOOL_CONFIG", "")]), None);
}

#[test]
fn every_option_that_may_stand_elsewhere_has_a_name_of_its_own() {
    let options = Options::of(&arguments::grammar());
    for of in options.commands() {
        let names: HashSet<String> = of.options.iter().map(option::One::variable).collect();
        assert_eq!(names.len(), of.options.len(), "{}", of.command);
        for (id, needed) in NEEDS {
            let has = |id: &str| of.options.iter().any(|option| option.id == id);
            assert!(!has(id) || has(needed), "{}: {id}", of.command);
        }
    }
    // Everything that grants something is known as that.
    for command in ["run", "map", "batch"] {
        let grammar = arguments::grammar();
        let of = grammar.find_subcommand(command).unwrap();
        for arg in of.get_arguments().filter(|arg| arg.get_help_heading() == Some(crate::help::GRANTS)) {
            assert!(GRANTS.contains(&arg.get_id().as_str()), "{}", arg.get_id());
        }
    }
}

#[test]
fn options_are_looked_for_elsewhere_only_where_there_can_be_some() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().to_str().unwrap();
    let alone = |line: &str, variables: &[(&str, &str)]| {
        let home = [("XDG_CONFIG_HOME", home)];
        let variables = variables.iter().chain(&home).map(|(name, value)| (name.into(), value.into()));
        is_alone(&words(&line.split(' ').collect::<Vec<_>>()), &variables.collect::<Vec<_>>())
    };
    assert!(alone("wasmpool run m.wasm --conf", &[("WASM", "1"), ("MY_WASMPOOL_FUEL", "2")]));
    assert!(!alone("wasmpool run m.wasm", &[("WASMPOOL_FUL", "1")]));
    assert!(!alone("wasmpool run --config c.toml m.wasm", &[]));
    assert!(!alone("wasmpool run --config=c.toml m.wasm", &[]));
    std::fs::create_dir(folder.path().join("wasmpool")).unwrap();
    assert!(alone("wasmpool run m.wasm", &[]));
    std::fs::write(folder.path().join("wasmpool/config.toml"), "").unwrap();
    assert!(!alone("wasmpool run m.wasm", &[]));
}
