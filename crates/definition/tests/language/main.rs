//! What the language accepts and refuses, through the crate's public face.

mod accepted;
mod properties;
mod refused;
