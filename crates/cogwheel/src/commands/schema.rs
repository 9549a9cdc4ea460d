//! `cogwheel schema`: prints the schemas that other programs read.

use std::process::ExitCode;

use crate::cli::SchemaCommand;
use crate::{output, settings};

pub(super) fn print(which: SchemaCommand) -> anyhow::Result<ExitCode> {
    let text = match which {
        SchemaCommand::Graphql => cogwheel_graphql::sdl(),
        SchemaCommand::Workflow => serde_json::to_string_pretty(&cogwheel_definition::json_schema())?,
        SchemaCommand::Config => serde_json::to_string_pretty(&settings::json_schema())?,
    };
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}
