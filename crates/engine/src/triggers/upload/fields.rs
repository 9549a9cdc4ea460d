//! What a form says beside its files.

use serde_json::{Map, Value};

use super::UploadError;

/// The most fields of a form.
const MOST_FIELDS: usize = 100;

/// The most bytes of all names and texts of a form's fields.
pub const MAX_FIELD_BYTES: usize = 64 * 1024;

/// Texts with names, as expressions see them: `trigger.file.fields`.
#[derive(Clone, Debug, Default)]
pub struct UploadFields {
    texts: Map<String, Value>,
    bytes: usize,
}

impl UploadFields {
    /// Adds one.
    ///
    /// # Errors
    ///
    /// Why the form cannot have it.
    pub fn insert(&mut self, name: &str, text: String) -> Result<(), UploadError> {
        let bytes = self.bytes + name.len() + text.len();
        let why = if name.is_empty() {
            "it has no name"
        } else if self.texts.contains_key(name) {
            "its name stands twice; give each field a name of its own"
        } else if self.texts.len() == MOST_FIELDS {
            "there are more than 100 fields"
        } else if bytes > MAX_FIELD_BYTES {
            "the fields have more than 64 KiB; send long texts as files"
        } else {
            self.bytes = bytes;
            self.texts.insert(name.to_owned(), Value::String(text));
            return Ok(());
        };
        Err(UploadError::InvalidField { name: name.chars().take(100).collect(), why })
    }

    pub(super) fn into_json(self) -> Value {
        Value::Object(self.texts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(fields: &mut UploadFields, name: &str, text: &str) -> String {
        fields.insert(name, text.to_owned()).unwrap_err().to_string()
    }

    #[test]
    fn fields_have_names_of_their_own_and_limits() {
        let mut fields = UploadFields::default();
        fields.insert("region", "eu".to_owned()).unwrap();
        fields.insert("note", String::new()).unwrap();
        assert!(refusal(&mut fields, "", "x").contains("it has no name"));
        assert!(refusal(&mut fields, "region", "us").contains("stands twice"));
        assert!(refusal(&mut fields, "long", &"x".repeat(MAX_FIELD_BYTES)).contains("more than 64 KiB"));
        assert_eq!(fields.clone().into_json(), serde_json::json!({ "region": "eu", "note": "" }));
        for number in 2..MOST_FIELDS {
            fields.insert(&number.to_string(), "x".to_owned()).unwrap();
        }
        assert!(refusal(&mut fields, "one more", "x").contains("more than 100 fields"));
    }
}
