//! Uploaded files, before the executions that they set off.

use std::collections::HashSet;

use cogwheel_engine::ports::Started;
use sea_orm::{DatabaseTransaction, DbErr};

use super::super::columns::UploadColumns;
use super::super::lane::Upload;
use super::super::sql::postgres as sql;
use super::starts::{Placed, ids};
use super::{Answers, ask};

/// An upload with its place in the batch.
type PlacedUpload<'u> = (usize, &'u Upload);

/// The starts of each upload, at places of their own behind those of the batch.
pub(super) fn starts<'u>(uploads: &[PlacedUpload<'u>], answers: &mut Answers) -> Vec<Vec<Placed<'u>>> {
    let mut place = |start| {
        answers.0.push(None);
        (answers.0.len() - 1, start)
    };
    uploads.iter().map(|(_, upload)| upload.new.starts.iter().map(&mut place).collect()).collect()
}

/// Inserts the files. Answers the places of the starts whose file is known: they are not to be written.
pub(super) async fn insert(
    tx: &DatabaseTransaction,
    uploads: &[PlacedUpload<'_>],
    starts: &[Vec<Placed<'_>>],
    answers: &mut Answers,
) -> Result<HashSet<usize>, DbErr> {
    // Of two of one id in a batch the first counts: the statement puts rows into an order of its own.
    let mut ids_of_rows = HashSet::new();
    let firsts = uploads.iter().filter(|(_, upload)| ids_of_rows.insert(upload.new.id));
    let rows: Vec<UploadColumns> = firsts.map(|(_, upload)| UploadColumns::of(&upload.new)).collect();
    let mut inserted = ids(&ask(tx, sql::INSERT_UPLOADS, &rows).await?)?;
    let mut known = HashSet::new();
    for ((unit, upload), starts) in uploads.iter().zip(starts) {
        if !inserted.remove(&upload.new.id.0) {
            answers.give(*unit, Ok(Started::Duplicate { execution: None }));
            known.extend(starts.iter().map(|(place, _)| *place));
        }
    }
    Ok(known)
}

/// Leaves with each upload what became of its starts, and takes their places away.
pub(super) fn collect(uploads: &[PlacedUpload<'_>], starts: &[Vec<Placed<'_>>], answers: &mut Answers, units: usize) {
    for ((unit, upload), starts) in uploads.iter().zip(starts) {
        if answers.0[*unit].is_some() {
            continue;
        }
        let started: Result<Vec<Started>, _> =
            starts.iter().filter_map(|(place, _)| answers.0[*place].take()).collect();
        answers.give(
            *unit,
            started.map(|started| {
                upload.answer(started);
                Started::Accepted
            }),
        );
    }
    answers.0.truncate(units);
}
