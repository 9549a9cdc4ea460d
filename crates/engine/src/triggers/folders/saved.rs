//! The part of a workflow's triggers that only the engine can compute, for the store to keep.

use std::path::Path;

use chrono::{DateTime, Utc};
use cogwheel_definition::Workflow;
use cogwheel_definition::schedule::Calendar;

use crate::ports::SavedTriggers;
use crate::triggers::location;

/// The triggers' stored form at `now`, with relative folders below `root`.
pub(crate) fn triggers(workflow: &Workflow, root: &Path, now: DateTime<Utc>) -> SavedTriggers {
    let schedules = workflow.triggers.schedules.iter();
    let files = workflow.triggers.files.iter();
    SavedTriggers {
        next_due: schedules
            .map(|schedule| {
                let calendar = Calendar::new(&schedule.timing).ok();
                (schedule.key.clone(), calendar.and_then(|calendar| calendar.next_after(now)))
            })
            .collect(),
        locations: files
            .map(|file| {
                let folder = location::absolute(root, &file.path);
                (file.key.clone(), folder.to_string_lossy().into_owned())
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use cogwheel_definition::parse;

    #[test]
    fn names_the_coming_instant_and_the_folder() {
        let text = "on:
  schedule: {id: daily, cron: '0 6 * * *', timezone: Europe/Berlin}
  file: {id: drop, path: ../in}
steps: [{run: 'true'}]
";
        let workflow = parse(text.as_bytes(), "both").unwrap();
        let saved = super::triggers(&workflow, Path::new("/srv/data"), "2026-05-04T10:00:00Z".parse().unwrap());
        assert_eq!(saved.next_due, [("daily".to_owned(), "2026-05-05T04:00:00Z".parse().ok())]);
        assert_eq!(saved.locations, [("drop".to_owned(), "/srv/in".to_owned())]);
    }
}
