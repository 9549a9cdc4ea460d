//! Gives an execution the uploaded file that set it off: a copy in its scratch folder.
//!
//! Each execution has a copy of its own that nobody may write to, under the file's safe name, so that no step can damage
//! the kept bytes or what another execution reads. It is made, and checked against its hash, when the first attempt that
//! has processes begins, and again wherever it is missing then or has another length: after a restart, on another node,
//! or when a step removed it. What a step that lifted the protection wrote into it otherwise stays there, for this
//! execution alone: to read the whole file before each attempt would cost more than that is worth. The path follows from
//! the node and the execution, so it is put into what expressions see each time an execution is made or taken up.

use std::path::{Path, PathBuf};

use cogwheel_machine::{ExecutionId, Failure, FailureKind};
use serde_json::{Value, json};

use crate::ports::{BlobError, BlobKey, Blobs};

/// The folder of the copy in the scratch folder.
const FOLDER: &str = "upload";

/// An uploaded file, and where the execution is told it is.
#[derive(Debug)]
pub(crate) struct Given {
    key: BlobKey,
    size: u64,
    path: PathBuf,
}

/// What expressions see as `trigger`, with the path that the uploaded file has for this execution on this node.
pub(crate) fn in_reach(mut trigger: Value, work_dir: &Path, execution: ExecutionId) -> Value {
    if let Some(given) = Given::of(&trigger, &work_dir.join(execution.to_string())) {
        trigger["file"]["path"] = json!(given.path.to_string_lossy());
    }
    trigger
}

impl Given {
    /// The file that set an execution off, if that was an upload; `scratch` is the execution's folder.
    pub(crate) fn of(trigger: &Value, scratch: &Path) -> Option<Self> {
        let file = &trigger["file"];
        if trigger["type"] != "file" && !trigger["type"].is_null() || file["source"] != "upload" {
            return None;
        }
        let key = file["sha256"].as_str()?.parse().ok()?;
        // The name was made safe before it was recorded; it must not lead anywhere even if it was not.
        let name = Path::new(file["name"].as_str()?).file_name()?;
        Some(Self { key, size: file["size"].as_u64()?, path: scratch.join(FOLDER).join(name) })
    }

    /// Puts the copy there, if it is not.
    pub(crate) async fn put(&self, blobs: &dyn Blobs) -> Result<(), Failure> {
        let found = tokio::fs::symlink_metadata(&self.path).await;
        if found.is_ok_and(|found| found.is_file() && found.len() == self.size) {
            return Ok(());
        }
        blobs.copy_to(&self.key, &self.path).await.map_err(|error| not_given(&error))
    }
}

fn not_given(error: &BlobError) -> Failure {
    let title = "the uploaded file cannot be given to the step";
    let hint = match error {
        BlobError::Missing(_) => {
            "; where several servers work on one database, `blobs_dir` must be a folder that they share"
        }
        _ => "",
    };
    let failure = if error.is_transient() {
        Failure::retriable(FailureKind::Internal, title)
    } else {
        Failure::permanent(FailureKind::Internal, title)
    };
    failure.with_detail(format!("{error}{hint}"))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::ports::MemoryBlobs;

    fn upload(name: &str, key: &str) -> Value {
        json!({ "type": "file", "file": { "source": "upload", "sha256": key, "size": 3, "name": name } })
    }

    #[tokio::test]
    async fn the_copy_is_there_under_its_name_and_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = MemoryBlobs::default();
        let key = blobs.put(b"abc".to_vec()).await.unwrap();
        let execution = ExecutionId(Uuid::from_u128(7));
        let trigger = in_reach(upload("a.csv", key.as_str()), dir.path(), execution);
        let path = PathBuf::from(trigger["file"]["path"].as_str().unwrap());
        assert_eq!(path, dir.path().join(execution.to_string()).join("upload/a.csv"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let given = Given::of(&trigger, &dir.path().join(execution.to_string())).unwrap();
        for _ in 0..2 {
            given.put(&blobs).await.unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), b"abc");
            std::fs::remove_file(&path).unwrap();
        }
        let elsewhere = in_reach(trigger, Path::new("/other"), execution);
        assert!(elsewhere["file"]["path"].as_str().unwrap().starts_with("/other/"), "each node has its own");
    }

    #[tokio::test]
    async fn only_uploads_are_given_and_what_is_missing_is_told() {
        let watched = json!({ "type": "file", "file": { "source": "directory", "path": "/in/a.csv" } });
        assert_eq!(in_reach(watched.clone(), Path::new("/work"), ExecutionId(Uuid::nil())), watched);
        let key = BlobKey::of_hash([7; 32]);
        let given = Given::of(&upload("../../a.csv", key.as_str()), Path::new("/work")).unwrap();
        assert_eq!(given.path, Path::new("/work/upload/a.csv"));
        let failure = given.put(&MemoryBlobs::default()).await.unwrap_err();
        assert!(!failure.retriable && failure.detail.unwrap_or_default().contains("blobs_dir"));
    }
}
