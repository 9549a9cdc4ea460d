//! Whether a call comes from where it should: Standard Webhooks, GitHub's header, or the secret itself.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use cogwheel_definition::Signature;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::Call;

/// What a secret of Standard Webhooks begins with; its key is the base64 after that.
pub(crate) const STANDARD_SECRET: &str = "whsec_";

/// More signatures than any sender with several keys needs.
const MOST_SIGNATURES: usize = 16;

/// What a call that is signed well is told by.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verified {
    /// The message's id: the same id is the same message.
    pub(super) message: Option<String>,
}

/// Why a call is not believed; for the caller, who learns nothing else.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotVerified(pub(super) &'static str);

/// Checks a call against the secrets that count now.
pub(super) fn verify(
    call: &Call,
    signature: Signature,
    secrets: &[String],
    tolerance: Duration,
    now: DateTime<Utc>,
) -> Result<Verified, NotVerified> {
    match signature {
        Signature::None => Ok(Verified { message: call.header("idempotency-key").map(str::to_owned) }),
        Signature::Bearer => bearer(call, secrets),
        Signature::Standard => standard(call, secrets, tolerance, now),
        Signature::Github => github(call, secrets),
        Signature::Any if call.header("webhook-signature").is_some() => standard(call, secrets, tolerance, now),
        Signature::Any if call.header("x-hub-signature-256").is_some() => github(call, secrets),
        Signature::Any => Err(NotVerified("the call is not signed")),
    }
}

/// `webhook-id`, `webhook-timestamp` and `webhook-signature`: <https://www.standardwebhooks.com>.
fn standard(call: &Call, secrets: &[String], tolerance: Duration, now: DateTime<Utc>) -> Result<Verified, NotVerified> {
    let id = call.header("webhook-id").filter(|id| !id.is_empty()).ok_or(NotVerified("there is no `webhook-id`"))?;
    let timestamp = call.header("webhook-timestamp").ok_or(NotVerified("there is no `webhook-timestamp`"))?;
    let signatures = call.header("webhook-signature").ok_or(NotVerified("there is no `webhook-signature`"))?;
    let sent_at = timestamp.parse().ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    let sent_at = sent_at.ok_or(NotVerified("the `webhook-timestamp` is not in seconds since 1970"))?;
    let given = signatures.split(' ').filter_map(|signature| signature.strip_prefix("v1,")).take(MOST_SIGNATURES);
    let given: Vec<Vec<u8>> = given.filter_map(|signature| STANDARD.decode(signature).ok()).collect();
    let head = format!("{id}.{timestamp}.");
    let is_signed = secrets.iter().any(|secret| {
        let mac = mac(&standard_key(secret), &[head.as_bytes(), &call.body]);
        given.iter().any(|given| mac.clone().verify_slice(given).is_ok())
    });
    if !is_signed {
        return Err(NotVerified("the signature is wrong"));
    }
    // Only a sender who knows the secret learns how the clocks stand.
    let tolerance = TimeDelta::from_std(tolerance).unwrap_or(TimeDelta::MAX);
    if (now - sent_at).abs() > tolerance {
        return Err(NotVerified("the `webhook-timestamp` is too far from the server's clock"));
    }
    Ok(Verified { message: Some(id.to_owned()) })
}

/// What `webhook-signature` says of a message that is signed with one secret.
pub(crate) fn standard_signature(secret: &str, id: &str, timestamp: i64, body: &[u8]) -> String {
    let head = format!("{id}.{timestamp}.");
    let mac = mac(&standard_key(secret), &[head.as_bytes(), body]);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// The base64 after `whsec_`; a secret of another form is taken as it is.
fn standard_key(secret: &str) -> Vec<u8> {
    let decoded = secret.strip_prefix(STANDARD_SECRET).and_then(|key| STANDARD.decode(key).ok());
    decoded.unwrap_or_else(|| secret.as_bytes().to_vec())
}

/// `x-hub-signature-256: sha256=<hex>` over the body. It carries no time stamp, so what tells a repeated call is its id
/// or, without one, its signature.
fn github(call: &Call, secrets: &[String]) -> Result<Verified, NotVerified> {
    let header = call.header("x-hub-signature-256").ok_or(NotVerified("there is no `x-hub-signature-256`"))?;
    let given = header.strip_prefix("sha256=").and_then(from_hex);
    let given = given.ok_or(NotVerified("the `x-hub-signature-256` is not `sha256=` and hex digits"))?;
    let is_signed = secrets.iter().any(|secret| mac(secret.as_bytes(), &[&call.body]).verify_slice(&given).is_ok());
    if !is_signed {
        return Err(NotVerified("the signature is wrong"));
    }
    let id = call.header("x-github-delivery").filter(|id| !id.is_empty());
    Ok(Verified { message: Some(id.unwrap_or(header).to_owned()) })
}

fn bearer(call: &Call, secrets: &[String]) -> Result<Verified, NotVerified> {
    let header = call.header("authorization").ok_or(NotVerified("there is no `authorization: Bearer …`"))?;
    let given = header
        .split_once(' ')
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, given)| Sha256::digest(given.trim().as_bytes()))
        .ok_or(NotVerified("there is no `authorization: Bearer …`"))?;
    // Digests have one length, so that the comparison does not tell that of the secret.
    let is_it = secrets.iter().any(|secret| bool::from(Sha256::digest(secret.as_bytes()).ct_eq(&given)));
    if !is_it {
        return Err(NotVerified("the bearer token is wrong"));
    }
    Ok(Verified { message: call.header("idempotency-key").map(str::to_owned) })
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = <Hmac<Sha256>>::new_from_slice(key).unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
    for part in parts {
        mac.update(part);
    }
    mac
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
    if rest.is_empty() { bytes } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn call(headers: &[(&str, &str)], body: &str) -> Call {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Call { headers, body: body.as_bytes().to_vec(), ..Call::default() }
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    fn check(call: &Call, signature: Signature, secrets: &[&str], now: i64) -> Result<Option<String>, &'static str> {
        let secrets: Vec<String> = secrets.iter().map(|secret| (*secret).to_owned()).collect();
        verify(call, signature, &secrets, Duration::from_mins(5), at(now))
            .map(|verified| verified.message)
            .map_err(|refused| refused.0)
    }

    /// The example of the specification.
    fn example() -> Call {
        call(
            &[
                ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
                ("webhook-timestamp", "1614265330"),
                ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
            ],
            r#"{"test": 2432232314}"#,
        )
    }

    #[test]
    fn the_example_of_standard_webhooks_is_believed() {
        let id = Ok(Some("msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned()));
        assert_eq!(check(&example(), Signature::Standard, &[SECRET], 1_614_265_330), id);
        assert_eq!(check(&example(), Signature::Any, &["other", SECRET], 1_614_265_331), id, "any secret that counts");
        let mut several = example();
        several.headers[2].1 = format!("v1a,xyz v1,AAAA {}", several.headers[2].1);
        assert_eq!(check(&several, Signature::Standard, &[SECRET], 1_614_265_330), id, "any signature");
    }

    #[test]
    fn a_call_that_is_old_or_was_changed_is_not() {
        for now in [1_614_265_330 - 301, 1_614_265_330 + 301] {
            let refused = check(&example(), Signature::Standard, &[SECRET], now).unwrap_err();
            assert!(refused.contains("too far"), "{refused}");
        }
        for now in [1_614_265_330 - 300, 1_614_265_330 + 300] {
            assert!(check(&example(), Signature::Standard, &[SECRET], now).is_ok());
        }
        let now = 1_614_265_330;
        let wrong = Err("the signature is wrong");
        assert_eq!(check(&example(), Signature::Standard, &["whsec_AAAA"], now), wrong);
        assert_eq!(check(&example(), Signature::Standard, &[], now), wrong);
        let mut changed = example();
        changed.body.push(b' ');
        assert_eq!(check(&changed, Signature::Standard, &[SECRET], now), wrong);
        for (header, value) in [(0, "msg_other"), (1, "1614265331"), (2, "v1,AAAA"), (2, "v2,g0hM9SsE"), (2, "")] {
            let mut changed = example();
            changed.headers[header].1 = value.to_owned();
            assert_eq!(check(&changed, Signature::Standard, &[SECRET], now), wrong, "{value}");
        }
        for missing in 0..3 {
            let mut without = example();
            without.headers.remove(missing);
            assert!(check(&without, Signature::Any, &[SECRET], now).is_err());
        }
        let mut odd = example();
        odd.headers[1].1 = "soon".to_owned();
        assert!(check(&odd, Signature::Standard, &[SECRET], now).unwrap_err().contains("seconds since 1970"));
    }

    /// The example of GitHub's documentation.
    #[test]
    fn the_example_of_github_is_believed() {
        let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let secret = "It's a Secret to Everybody";
        let signed = call(&[("x-hub-signature-256", signature)], "Hello, World!");
        assert_eq!(check(&signed, Signature::Any, &[secret], 0), Ok(Some(signature.to_owned())));
        assert_eq!(check(&signed, Signature::Github, &["other"], 0), Err("the signature is wrong"));
        assert!(check(&signed, Signature::Standard, &[secret], 0).is_err());
        let named = call(&[("x-hub-signature-256", signature), ("x-github-delivery", "72d3162e")], "Hello, World!");
        assert_eq!(check(&named, Signature::Github, &[secret], 0), Ok(Some("72d3162e".to_owned())));
        for wrong in ["757107", "sha256=7", "sha256=zz", "sha1=757107ea"] {
            assert!(
                check(&call(&[("x-hub-signature-256", wrong)], "Hello, World!"), Signature::Github, &[secret], 0)
                    .is_err()
            );
        }
    }

    #[test]
    fn a_bearer_token_is_the_secret() {
        let with = |value: &str| call(&[("authorization", value), ("idempotency-key", "k")], "");
        assert_eq!(check(&with("Bearer s3cret"), Signature::Bearer, &["s3cret"], 0), Ok(Some("k".to_owned())));
        assert_eq!(check(&with("bearer s3cret"), Signature::Bearer, &["x", "s3cret"], 0), Ok(Some("k".to_owned())));
        for wrong in ["Bearer s3cre", "Bearer s3cret2", "Basic s3cret", "s3cret", "Bearer "] {
            assert!(check(&with(wrong), Signature::Bearer, &["s3cret"], 0).is_err(), "{wrong}");
        }
        assert!(check(&call(&[], ""), Signature::Bearer, &["s3cret"], 0).is_err());
        assert_eq!(check(&call(&[], ""), Signature::None, &[], 0), Ok(None));
        assert_eq!(check(&call(&[], ""), Signature::Any, &["s"], 0), Err("the call is not signed"));
    }
}
