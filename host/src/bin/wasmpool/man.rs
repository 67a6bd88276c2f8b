//! `wasmpool completions` and `wasmpool man`: made from the grammar.

#![forbid(unsafe_code)]

use clap_complete::aot;
use clap_mangen::Man as Page;
use clap_mangen::roff::{Roff, bold, roman};
use wasmpool::exit_code;

use crate::arguments::{self, Completions, Man, Shell};
use crate::console::Console;
use crate::failure::{Failure, OrFailWith};
use crate::{help, topics};

/// Prints what a shell needs.
///
/// # Errors
///
/// When it cannot be written.
pub fn completions(arguments: &Completions, console: &Console) -> Result<u8, Failure> {
    let shell = match arguments.shell {
        Shell::Bash => aot::Shell::Bash,
        Shell::Elvish => aot::Shell::Elvish,
        Shell::Fish => aot::Shell::Fish,
        Shell::Powershell => aot::Shell::PowerShell,
        Shell::Zsh => aot::Shell::Zsh,
    };
    let mut script = Vec::new();
    aot::generate(shell, &mut arguments::grammar(), "wasmpool", &mut script);
    console.print(String::from_utf8_lossy(&script).into_owned())
}

/// Prints a man page.
///
/// # Errors
///
/// For a command that does not exist, and when it cannot be written.
pub fn man(arguments: &Man, console: &Console) -> Result<u8, Failure> {
    let grammar = arguments::grammar();
    let command = match &arguments.command {
        None => grammar,
        Some(name) => match grammar.find_subcommand(name) {
            Some(command) => command.clone().display_name(format!("wasmpool-{name}")),
            None => {
                return Err(Failure::new(exit_code::batch::USAGE, topics::unknown_command(&grammar, name)));
            }
        },
    };
    page(&command, arguments.command.as_deref())
        .or_fail_with(exit_code::NOT_SET_UP)
        .and_then(|page| console.print(page))
}

fn page(command: &clap::Command, name: Option<&str>) -> std::io::Result<String> {
    let page = Page::new(command.clone())
        .manual("wasmpool")
        .source(concat!("wasmpool ", env!("CARGO_PKG_VERSION")))
        .date("");
    let mut text = Vec::new();
    page.render(&mut text)?;
    let mut rest = Roff::new();
    if name.is_none() {
        rest.control("SH", ["EXIT STATUS"]);
        rest.text([roman("Of "), bold("wasmpool run"), roman(":")]);
        literal(&mut rest, &help::task_codes());
        rest.text([roman("Of "), bold("wasmpool map"), roman(" and "), bold("wasmpool batch"), roman(":")]);
        literal(&mut rest, &help::batch_codes());
    }
    if name.is_none_or(|name| !matches!(name, "help" | "man" | "completions")) {
        rest.control("SH", ["ENVIRONMENT AND FILES"]);
        literal(&mut rest, &topics::config_rules());
    }
    rest.to_writer(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Lines as they are.
fn literal(page: &mut Roff, text: &str) {
    page.control("nf", []);
    for line in text.lines() {
        page.text([roman(line)]);
    }
    page.control("fi", []);
}
