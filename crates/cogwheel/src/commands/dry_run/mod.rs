//! `cogwheel dry-run`: shows what a workflow file would do, and does nothing.

mod files;
mod known;
mod plan;
mod schedules;
mod text;

use std::path::Path;
use std::process::ExitCode;

use cogwheel_definition::Workflow;
use cogwheel_engine::clock::SystemClock;
use serde_json::{Map, Value};

use super::inputs;
use super::validate::{self, Report};
use crate::cli::{GivenInput, Output};
use crate::output;
use known::Known;
use plan::Plan;
use schedules::PlannedSchedule;

/// Checks the file and the inputs and prints what an execution would do; code 1 when either is wrong.
pub(super) fn run(file: &Path, given: Vec<GivenInput>, print: Output) -> anyhow::Result<ExitCode> {
    let workflow = match validate::check(file) {
        Ok(workflow) => workflow,
        Err(unsound) => {
            output::answer(print, &unsound.report, &unsound.text)?;
            return Ok(ExitCode::FAILURE);
        }
    };
    let inputs = match inputs::resolve(file, &workflow, given) {
        Ok(inputs) => inputs,
        Err(unsound) => {
            output::answer(print, &unsound.report, &unsound.text)?;
            return Ok(ExitCode::FAILURE);
        }
    };
    let plan = plan(file, &workflow, inputs)?;
    output::answer(print, &plan, &plan.to_text(file, &workflow))?;
    Ok(ExitCode::SUCCESS)
}

fn plan(file: &Path, workflow: &Workflow, inputs: Map<String, Value>) -> anyhow::Result<Plan> {
    let schedules = workflow.triggers.schedules.iter().map(|trigger| PlannedSchedule::of(trigger, &SystemClock));
    let schedules = schedules.collect::<anyhow::Result<_>>()?;
    let known = Known::of(workflow, &inputs);
    Ok(Plan::of(Report::sound(file, workflow), workflow, inputs, &known, schedules))
}
