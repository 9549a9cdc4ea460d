//! Takes the bytes of an upload in as they come, within its limits; nothing is left of one that breaks off.

use cogwheel_definition::takes_media_type;

use super::{UploadError, UploadFields, UploadLimits, name};
use crate::Engine;
use crate::media::Sniffer;
use crate::ports::{BlobKey, Incoming};

/// What says how large an upload may be, and what it may be.
const SIZE_SETTING: &str = "the setting `uploads.max_size`";
const TYPES_SETTING: &str = "the setting `uploads.allowed_types`";
const TENANT_SIZE: &str = "the tenant's limit `upload_max_bytes`";
const TENANT_TYPES: &str = "the tenant's limit `upload_types`";

/// An upload under way. Dropped, it is gone.
pub struct Receiving {
    incoming: Box<dyn Incoming>,
    sniffer: Sniffer,
    /// Whether what it is may be uploaded, and is sure to stay so.
    is_judged: bool,
    size: u64,
    limits: UploadLimits,
    size_setting: &'static str,
    types_setting: &'static str,
    name: String,
    sent_name: String,
}

/// An upload whose bytes are all here, though nobody knows of them yet. Dropped, it is gone.
pub struct ReceivedUpload {
    pub(super) incoming: Box<dyn Incoming>,
    pub(super) key: BlobKey,
    pub(super) media_type: String,
    pub(super) size: i64,
    pub(super) name: String,
    pub(super) sent_name: String,
    /// Which of the files of its request it is: one idempotency key stands for all of them.
    pub(super) place: usize,
    pub(super) fields: UploadFields,
    sniffer: Sniffer,
    limits: UploadLimits,
    types_setting: &'static str,
}

impl std::fmt::Debug for Receiving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receiving").field("name", &self.name).field("size", &self.size).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for ReceivedUpload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReceivedUpload").field("name", &self.name).field("key", &self.key).finish_non_exhaustive()
    }
}

impl Engine {
    /// Begins to take an upload in; `name` is what the client calls it, and `announced` how many bytes it says there are.
    ///
    /// # Errors
    ///
    /// Why it is not taken.
    pub async fn begin_upload(&self, name: &str, announced: Option<u64>) -> Result<Receiving, UploadError> {
        if self.is_draining() {
            return Err(UploadError::Draining);
        }
        if self.is_clustered() && self.has_company() && !self.blobs().is_shared() {
            return Err(UploadError::NotShared);
        }
        let safe = name::safe(name).map_err(UploadError::BadName)?;
        let own = self.store().tenant_uploads(self.tenant()).await?;
        let settings = &self.config().uploads;
        let size_setting = if own.max_size.is_some() { TENANT_SIZE } else { SIZE_SETTING };
        let types_setting = if own.allowed_types.is_some() { TENANT_TYPES } else { TYPES_SETTING };
        let limits = UploadLimits {
            max_size: own.max_size.unwrap_or(settings.max_size),
            allowed_types: own.allowed_types.unwrap_or_else(|| settings.allowed_types.clone()),
        };
        if announced.is_some_and(|size| size > limits.max_size) {
            return Err(UploadError::TooLarge { limit: limits.max_size, setting: size_setting });
        }
        let incoming = self.blobs().receive().await?;
        let sent_name = name::as_sent(name);
        let sniffer = Sniffer::default();
        Ok(Receiving {
            incoming,
            sniffer,
            is_judged: false,
            size: 0,
            limits,
            size_setting,
            types_setting,
            name: safe,
            sent_name,
        })
    }
}

impl ReceivedUpload {
    /// Says that it came in a form: which of its files it is, counted from 0, and what the form says beside them.
    pub fn set_form(&mut self, place: usize, fields: UploadFields) {
        (self.place, self.fields) = (place, fields);
    }

    /// Gives it another name; what it is stays what its content says it is, as far as it was not told by its name.
    ///
    /// # Errors
    ///
    /// Why it cannot be called that.
    pub fn rename(&mut self, name: &str) -> Result<(), UploadError> {
        self.name = name::safe(name).map_err(UploadError::BadName)?;
        self.sent_name = name::as_sent(name);
        let media_type = self.sniffer.media_type(&self.name);
        self.limits.check(&media_type, self.types_setting)?;
        self.media_type = media_type;
        Ok(())
    }
}

impl Receiving {
    /// Takes the next bytes.
    ///
    /// # Errors
    ///
    /// Why it is not taken after all.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), UploadError> {
        self.size += bytes.len() as u64;
        if self.size > self.limits.max_size {
            return Err(UploadError::TooLarge { limit: self.limits.max_size, setting: self.size_setting });
        }
        self.sniffer.push(bytes);
        if !self.is_judged
            && let Some(media_type) = self.sniffer.certain()
        {
            self.limits.check(media_type, self.types_setting)?;
            self.is_judged = true;
        }
        Ok(self.incoming.write(bytes).await?)
    }

    /// Brings the bytes down to the disk and looks at what they are.
    ///
    /// # Errors
    ///
    /// Why it is not taken after all.
    pub async fn finish(mut self) -> Result<ReceivedUpload, UploadError> {
        let media_type = self.sniffer.media_type(&self.name);
        self.limits.check(&media_type, self.types_setting)?;
        let key = self.incoming.finish().await?;
        let size = i64::try_from(self.size).unwrap_or(i64::MAX);
        let Self { incoming, sniffer, limits, types_setting, name, sent_name, .. } = self;
        let fields = UploadFields::default();
        Ok(ReceivedUpload {
            incoming,
            key,
            media_type,
            size,
            name,
            sent_name,
            place: 0,
            fields,
            sniffer,
            limits,
            types_setting,
        })
    }
}

impl UploadLimits {
    fn check(&self, media_type: &str, setting: &'static str) -> Result<(), UploadError> {
        if takes_media_type(&self.allowed_types, media_type) {
            return Ok(());
        }
        let allowed = self.allowed_types.join(", ");
        Err(UploadError::TypeNotAllowed { media_type: media_type.to_owned(), allowed, setting })
    }
}
