//! What the wall clock of a zone shows, and when it is changed.

use chrono::{DateTime, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};

use crate::diagnostic::quoted;
use crate::suggest;

/// Between two looks at a zone's offset while a change is searched for. Two changes within a day that undo one another
/// are not in the database.
const LOOK: TimeDelta = TimeDelta::days(1);

/// The zone of an IANA name.
///
/// # Errors
///
/// What is wrong, and what was probably meant.
pub fn parse_zone(name: &str) -> Result<Tz, (String, String)> {
    name.parse::<Tz>().map_err(|_| {
        let meant = same_city(name)
            .map(|zone| format!("did you mean `{zone}`?"))
            .or_else(|| suggest::did_you_mean(name, TZ_VARIANTS.iter().map(|zone| zone.name())))
            .unwrap_or_else(|| "use an IANA name such as `Europe/Berlin` or `UTC`".to_owned());
        (format!("there is no time zone {}", quoted(name)), meant)
    })
}

/// A zone whose last part is what was written.
fn same_city(name: &str) -> Option<&'static str> {
    let city = name.trim().replace(' ', "_").to_lowercase();
    let last = |zone: &str| zone.rsplit('/').next().unwrap_or_default().to_lowercase();
    TZ_VARIANTS.iter().map(|zone| zone.name()).find(|zone| zone.contains('/') && last(zone) == city)
}

/// By how much a zone's wall clock is ahead of UTC.
pub(super) fn offset(zone: Tz, at: DateTime<Utc>) -> TimeDelta {
    TimeDelta::seconds(i64::from(zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc()))
}

/// The first instant after `from` and up to `until` at which the offset is no longer `known`.
pub(super) fn next_change(
    zone: Tz,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    known: TimeDelta,
) -> Option<DateTime<Utc>> {
    if zone == Tz::UTC {
        return None;
    }
    let mut same = from;
    while same < until {
        let look = same.checked_add_signed(LOOK).unwrap_or(until).min(until);
        if offset(zone, look) != known {
            let mut changed = look;
            while (changed - same).num_seconds() > 1 {
                let middle = same + TimeDelta::seconds((changed - same).num_seconds() / 2);
                if offset(zone, middle) == known { same = middle } else { changed = middle }
            }
            return Some(changed);
        }
        same = look;
    }
    None
}

/// The two instants at which the wall clock shows `local`, where there are two.
pub(super) fn repeated(zone: Tz, local: NaiveDateTime) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    match zone.offset_from_local_datetime(&local) {
        chrono::LocalResult::Ambiguous(one, other) => {
            let instant = |offset: &<Tz as TimeZone>::Offset| (local - offset.fix()).and_utc();
            let (one, other) = (instant(&one), instant(&other));
            Some((one.min(other), one.max(other)))
        }
        chrono::LocalResult::Single(_) | chrono::LocalResult::None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::parse_zone;

    #[test]
    fn names_the_zone_that_was_meant() {
        for (name, meant) in [
            ("Europe/Berln", "did you mean `Europe/Berlin`?"),
            ("berlin", "did you mean `Europe/Berlin`?"),
            ("New York", "did you mean `America/New_York`?"),
            ("nowhere at all", "use an IANA name such as `Europe/Berlin` or `UTC`"),
        ] {
            assert_eq!(parse_zone(name).unwrap_err().1, meant, "{name}");
        }
    }
}
