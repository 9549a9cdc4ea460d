//! The `cogwheel` binary: the command line, the settings, and the wiring of the parts.

mod cli;
mod commands;
mod output;
mod settings;

use std::process::ExitCode;

/// The exit code for a wrong command line or wrong settings; clap uses the same.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let (cli, matches) = cli::parse();
    match commands::run(cli, &matches) {
        Ok(code) => code,
        Err(error) => {
            output::complain(&error);
            if error.is::<settings::SettingsError>() { ExitCode::from(EXIT_USAGE) } else { ExitCode::FAILURE }
        }
    }
}
