//! `wasmpool new`: writes a plugin that builds and runs as it is: a crate that passes its tests, or a folder in another
//! language (`language.rs`).

#![forbid(unsafe_code)]

mod language;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use wasmpool::exit_code::batch;

use crate::arguments::New;
use crate::console::Console;
use crate::failure::{Failure, OrFailWith};

/// Each file of a new crate, and its template.
const FILES: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("../../../../guest-sdk/template/Cargo.toml.in")),
    ("src/lib.rs", include_str!("../../../../guest-sdk/template/src/lib.rs.in")),
    ("README.md", include_str!("../../../../guest-sdk/template/README.md.in")),
    (".gitignore", include_str!("../../../../guest-sdk/template/gitignore.in")),
];

/// Names that cargo refuses or that cannot be used beside the standard library.
const RESERVED: &[&str] =
    &["alloc", "core", "proc_macro", "std", "test", "wasmpool_guest", "deps", "build", "examples"];

const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop",
    "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static",
    "struct", "super", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual",
    "where", "while", "yield",
];

/// Writes the crate and says what can be done with it.
pub fn new(arguments: &New, console: &Console) -> Result<u8, Failure> {
    let name = arguments.path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    check_name(&name).or_fail_with(batch::USAGE)?;
    let Some(recipe) = language::Recipe::of(arguments.lang) else {
        let sdk = find_sdk(arguments.sdk.as_deref()).or_fail_with(batch::USAGE)?;
        let files = FILES.iter().map(|(path, template)| (*path, fill(template, &name, &sdk))).collect();
        write(&arguments.path, files)?;
        let shown = arguments.path.display();
        console.say(&format!(
            "made the plugin crate `{name}` in `{shown}`; its SDK is the checkout at {}\n\
             next: cd {shown} && cargo test && wasmpool run . 41",
            sdk.display()
        ));
        return Ok(batch::SUCCESS);
    };
    write(&arguments.path, recipe.files(&name))?;
    let shown = arguments.path.display();
    console.say(&format!("made the plugin `{name}` in `{shown}`"));
    for (program, install) in recipe.missing(|program| language::is_installed(program, &arguments.path)) {
        console.say(&format!("`{program}` is not installed; in that folder, this installs it: {install}"));
    }
    let build = recipe.build_line();
    console.say(&format!("next: cd {shown} && {build} && wasmpool run plugin.wasm -t answer 41"));
    Ok(batch::SUCCESS)
}

/// Makes the folder and writes all files, or leaves nothing.
fn write(folder: &Path, files: Vec<(&str, String)>) -> Result<(), Failure> {
    match fs::create_dir(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let message = format!("`{}` exists: choose another name, nothing was changed", folder.display());
            return Err(Failure::new(batch::USAGE, message));
        }
        Err(error) => {
            return Err(Failure::new(
                batch::USAGE,
                format!("cannot make the folder `{}`: {error}", folder.display()),
            ));
        }
    }
    write_files(folder, files).or_fail_with(batch::USAGE)
}

fn check_name(name: &str) -> anyhow::Result<()> {
    const NAME_CHARS_MAX: usize = 64;
    let right = "a name has letters, digits, `-` and `_`, and begins with a letter";
    if !name.starts_with(|first: char| first.is_ascii_alphabetic()) {
        bail!("`{name}` cannot be a plugin's name: {right}");
    }
    if let Some(wrong) = name.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))) {
        bail!("`{name}` cannot be a plugin's name because of {wrong:?}: {right}");
    }
    if name.len() > NAME_CHARS_MAX {
        bail!("`{name}` cannot be a plugin's name: it is longer than {NAME_CHARS_MAX} characters");
    }
    let identifier = name.replace('-', "_");
    if KEYWORDS.contains(&identifier.as_str()) || RESERVED.contains(&identifier.as_str()) {
        bail!("`{name}` cannot be a plugin's name: the word is reserved");
    }
    Ok(())
}

/// The folder of the SDK: as given, or in the checkout that this program was built from.
fn find_sdk(given: Option<&Path>) -> anyhow::Result<PathBuf> {
    let built_from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-sdk");
    let path = given.unwrap_or(&built_from);
    let manifest = fs::read_to_string(path.join("Cargo.toml")).unwrap_or_default();
    if manifest.lines().any(|line| line.trim() == "name = \"wasmpool-guest\"") {
        return path.canonicalize().with_context(|| format!("cannot find `{}`", path.display()));
    }
    match given {
        Some(path) => Err(anyhow!(
            "`{}` is not the folder of the crate wasmpool-guest (`guest-sdk` in a checkout)",
            path.display()
        )),
        None => Err(anyhow!(
            "the checkout that this program was built from is no longer at `{}`: say where its folder `guest-sdk` is with --sdk PATH",
            built_from.display()
        )),
    }
}

/// Writes all files, or leaves nothing.
fn write_files(folder: &Path, files: Vec<(&str, String)>) -> anyhow::Result<()> {
    let written = files.into_iter().try_for_each(|(path, text)| {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, text)
    });
    written.map_err(|error| {
        // What cannot be removed either is left for the user to see.
        drop(fs::remove_dir_all(folder));
        anyhow!("cannot write into `{}`: {error}", folder.display())
    })
}

fn fill(template: &str, name: &str, sdk: &Path) -> String {
    // TOML's basic strings have the escapes of JSON that a path can need.
    let sdk = serde_json::Value::from(sdk.to_string_lossy()).to_string();
    template.replace("{{name}}", name).replace("{{sdk}}", sdk.trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_as_cargo_would() {
        for good in ["demo", "my-plugin", "a1_b"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "1st", "-x", "a b", "a.b", "é", "fn", "test", "core", &"x".repeat(65)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_crate_is_written_whole_and_never_over_another() {
        let parent = tempfile::tempdir().unwrap();
        let console = Console::quiet();
        let arguments = New {
            path: parent.path().join("demo"),
            sdk: None,
            lang: Default::default(),
            common: Default::default(),
        };
        new(&arguments, &console).unwrap();
        for (file, _) in FILES {
            let text = fs::read_to_string(arguments.path.join(file)).unwrap();
            assert!(!text.contains("{{"), "{file} has an unfilled place");
        }
        let failure = new(&arguments, &console).unwrap_err();
        assert_eq!(failure.code, 2);
        assert!(failure.to_string().contains("exists"), "{failure}");
    }

    #[test]
    fn another_folder_is_no_sdk() {
        let folder = tempfile::tempdir().unwrap();
        assert!(find_sdk(Some(folder.path())).unwrap_err().to_string().contains("wasmpool-guest"));
    }
}
