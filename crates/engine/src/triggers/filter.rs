//! Which files a trigger asks for, by what is in them.

use cogwheel_definition::ContentFilter;

use crate::ports::DecisionReason;

/// Why a file of this size and type is not asked for, and the same for people; `None` if it is.
pub(super) fn filtered(content: &ContentFilter, size: u64, media_type: &str) -> Option<(DecisionReason, String)> {
    if !content.takes_type(media_type) {
        let wanted = content.mime.join(", ");
        let why = format!("its content is {media_type}, and the trigger asks for {wanted}");
        return Some((DecisionReason::FilteredMime, why));
    }
    if content.takes_size(size) {
        return None;
    }
    let bounds = match (content.min_size, content.max_size) {
        (Some(least), Some(most)) => format!("from {least} to {most} bytes"),
        (Some(least), None) => format!("of {least} bytes or more"),
        (None, most) => format!("of at most {} bytes", most.unwrap_or(u64::MAX)),
    };
    Some((DecisionReason::FilteredSize, format!("it has {size} bytes, and the trigger asks for files {bounds}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_comes_before_size_and_both_are_told() {
        let content = ContentFilter { mime: vec!["text/csv".to_owned()], min_size: Some(2), max_size: Some(4) };
        assert_eq!(filtered(&content, 3, "text/csv"), None);
        let (reason, why) = filtered(&content, 9, "image/png").unwrap();
        assert_eq!(reason, DecisionReason::FilteredMime);
        assert_eq!(why, "its content is image/png, and the trigger asks for text/csv");
        let (reason, why) = filtered(&content, 5, "text/csv").unwrap();
        assert_eq!(reason, DecisionReason::FilteredSize);
        assert_eq!(why, "it has 5 bytes, and the trigger asks for files from 2 to 4 bytes");
    }
}
