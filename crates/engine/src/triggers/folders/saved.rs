//! The part of a workflow's triggers that only the engine can compute, for the store to keep.

use std::path::Path;

use chrono::{DateTime, Utc};
use cogwheel_definition::schedule::Calendar;
use cogwheel_definition::{After, Workflow};

use crate::ports::{SavedTriggers, WatchFolders};
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
            .filter_map(|file| {
                let watched = file.source.folder()?;
                let absolute = |path: &str| location::absolute(root, path).to_string_lossy().into_owned();
                let moved = |after: &After| match after {
                    After::Move(folder) => Some(absolute(folder)),
                    After::Keep | After::Delete => None,
                };
                let folders = WatchFolders {
                    watched: absolute(watched),
                    success: moved(&file.after_success),
                    failure: moved(&file.after_failure),
                };
                Some((file.key.clone(), folders))
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
  file: {id: drop, path: ../in, after: {success: done/}}
steps: [{run: 'true'}]
";
        let workflow = parse(text.as_bytes(), "both").unwrap();
        let saved = super::triggers(&workflow, Path::new("/srv/data"), "2026-05-04T10:00:00Z".parse().unwrap());
        assert_eq!(saved.next_due, [("daily".to_owned(), "2026-05-05T04:00:00Z".parse().ok())]);
        let (key, folders) = &saved.locations[0];
        assert_eq!((key.as_str(), folders.watched.as_str()), ("drop", "/srv/in"));
        assert_eq!((folders.success.as_deref(), &folders.failure), (Some("/srv/data/done"), &None));
    }
}
