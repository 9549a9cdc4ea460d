//! Finds the word that was probably meant.

/// The candidate nearest to `word`, if one is near enough to be worth naming.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.chars().count() > 100 {
        return None;
    }
    let length = word.chars().count();
    let limit = (length / 3).max(1).min(length.saturating_sub(1));
    let lower = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| {
            let distance = strsim::damerau_levenshtein(&lower, &candidate.to_lowercase());
            (distance, candidate)
        })
        .filter(|&(distance, _)| distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// `did you mean …?` for the nearest candidate.
pub(crate) fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(word, candidates).map(|candidate| format!("did you mean `{candidate}`?"))
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn names_near_words_only() {
        let words = ["needs", "name", "timeout", "Europe/Berlin"];
        assert_eq!(nearest("need", words), Some("needs"));
        assert_eq!(nearest("tiemout", words), Some("timeout"));
        assert_eq!(nearest("europe/berln", words), Some("Europe/Berlin"));
        assert_eq!(nearest("frobnicate", words), None);
        assert_eq!(nearest("b", ["a"]), None);
        assert_eq!(nearest(&"x".repeat(1000), words), None);
    }
}
