//! What can be typed about the program itself.

#![forbid(unsafe_code)]

use clap::ValueEnum;

use super::CommonOptions;

#[derive(Debug, clap::Args)]
pub struct Completions {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: Shell,
    #[command(flatten)]
    pub common: CommonOptions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

#[derive(Debug, clap::Args)]
pub struct Man {
    /// The command; without it, the page is that of the whole program
    #[arg(value_name = "COMMAND")]
    pub command: Option<String>,
    #[command(flatten)]
    pub common: CommonOptions,
}

#[derive(Debug, clap::Args)]
pub struct Help {
    /// A command, or a topic; without it, all of them are listed
    #[arg(value_name = "TOPIC")]
    pub topic: Option<String>,
    #[command(flatten)]
    pub common: CommonOptions,
}
