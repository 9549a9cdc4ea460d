//! Files that came with a request: where its variables refer to them.

use std::sync::{Mutex, PoisonError};

use async_graphql::{Request, Upload, UploadValue};
use cogwheel_engine::ReceivedUpload;

/// The files that came with a request, each to be taken once.
#[derive(Debug, Default)]
pub struct Uploads(Mutex<Vec<Option<ReceivedUpload>>>);

/// The request has no variable at this place.
#[derive(Debug, thiserror::Error)]
#[error("`map` names `{0}`, and the operation has no such variable with the value null")]
pub struct MissingVariable(pub String);

impl Uploads {
    /// Puts a file in the place of a variable: `variables.input.file`.
    ///
    /// # Errors
    ///
    /// There is no such variable.
    pub fn put(&mut self, request: &mut Request, place: &str, received: ReceivedUpload) -> Result<(), MissingVariable> {
        let before = request.uploads.len();
        // The bytes are on their way to their place already; what the library keeps is a number.
        request.set_upload(
            place,
            UploadValue { filename: String::new(), content_type: None, content: [].as_slice().into() },
        );
        if request.uploads.len() == before {
            return Err(MissingVariable(place.chars().take(100).collect()));
        }
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner).push(Some(received));
        Ok(())
    }

    /// The file that a variable refers to, the first time.
    pub(crate) fn take(&self, upload: Upload) -> Option<ReceivedUpload> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(upload.0)?.take()
    }
}
