//! The signature of a webhook.
//!
//! `Reveille-Signature: v1=<hex>`: HMAC-SHA256 (RFC 2104, FIPS 180-4) with the secret as key over the text of
//! `Reveille-Timestamp`, a dot, and the body as it was sent. The time is inside it, so that a receiver can refuse what was
//! recorded and is sent again later.

use ring::hmac;

/// The value of the field: `v1=` and 64 hex digits. `timestamp` is in seconds since 1970 UTC.
pub fn signature(secret: &[u8], timestamp: u64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let mut context = hmac::Context::with_key(&key);
    context.update(timestamp.to_string().as_bytes());
    context.update(b".");
    context.update(body);
    let hex: String = context.sign().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("v1={hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `printf '%s' '1700000000.{"event":"host.seen"}' | openssl dgst -sha256 -hmac 'correct horse'`.
    #[test]
    fn it_is_what_openssl_says() {
        let made = signature(b"correct horse", 1_700_000_000, br#"{"event":"host.seen"}"#);
        assert_eq!(made, "v1=d4ecc1d60bd7a06471d1baf9f112d0eabdcdbf4685c0e0345c4ef51ff6da1429");
    }

    #[test]
    fn time_body_and_secret_are_all_in_it() {
        let base = signature(b"a", 1, b"x");
        for other in [signature(b"b", 1, b"x"), signature(b"a", 2, b"x"), signature(b"a", 1, b"y")] {
            assert_ne!(base, other);
        }
        assert_ne!(signature(b"a", 1, b"1.x"), signature(b"a", 11, b".x"));
    }
}
