//! Where bytes are kept that are too large for the database.
//!
//! [`BlobFolder`] is the engine's [`Blobs`](cogwheel_engine::ports::Blobs) in a local folder. It uses the file system
//! itself: what `object_store` writes to a local folder is not forced to the disk before it answers, neither the file
//! nor its name, and an artifact's row must never outlive its bytes.

mod copy;
mod folder;
mod receive;
mod write;

pub use folder::BlobFolder;
