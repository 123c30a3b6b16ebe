//! A directory that answers as it is told, on loopback: what no honest one does.

use super::*;
use crate::message::tests::answers;
use crate::{Limits, Roots, Secret};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread::JoinHandle;

/// Serves one connection: a function gives the answer to each request by its number from 1; `None` hangs up.
struct Fake {
    query: Query,
    _server: JoinHandle<()>,
}

fn fake(answer: impl Fn(u32, &[u8]) -> Option<Vec<u8>> + Send + 'static) -> Fake {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let Ok((mut stream, _)) = listener.accept() else { return };
        let mut buffer = Vec::new();
        let mut number = 0;
        loop {
            while let Ok(Frame::Whole(length)) = message::frame(&buffer) {
                let request: Vec<u8> = buffer.drain(..length).collect();
                number += 1;
                match answer(number, &request) {
                    Some(bytes) => {
                        if stream.write_all(&bytes).is_err() {
                            return;
                        }
                    }
                    None => return,
                }
            }
            let mut piece = [0; 4096];
            match stream.read(&mut piece) {
                Ok(0) | Err(_) => return,
                Ok(count) => buffer.extend_from_slice(&piece[..count]),
            }
        }
    });
    let limits =
        Limits { stall_wait: Duration::from_millis(500), page_size: 2, entries_max: 5, ..Limits::default() };
    let query = Query {
        location: format!("ldap://127.0.0.1:{port}").parse().unwrap(),
        security: Security::Plain,
        roots: Roots::System,
        bind: None,
        base: Some("dc=x".to_owned()),
        filter: Filter::default(),
        limits,
    };
    Fake { query, _server: server }
}

fn ask(query: &Query) -> Result<Answer, DirectoryError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(crate::read(query))
}

fn error(answer: impl Fn(u32, &[u8]) -> Option<Vec<u8>> + Send + 'static) -> DirectoryError {
    ask(&fake(answer).query).unwrap_err()
}

fn one(id: u32) -> Vec<u8> {
    answers::entry(id, &format!("cn=a{id}"), &[("cn", &[b"a"])])
}

#[test]
fn pages_are_asked_for_until_the_cookie_is_empty() {
    let fake = fake(|number, request| {
        let cookie: &[u8] = if number < 3 { b"more" } else { b"" };
        assert_eq!(request.ends_with(b"\x04\x04more"), (2..=3).contains(&number), "the cookie comes back");
        Some(
            [one(number), answers::referral(number, "ldap://b"), answers::done(number, Some(cookie))]
                .concat(),
        )
    });
    let answer = ask(&fake.query).unwrap();
    assert_eq!((answer.entries.len(), answer.referrals.len()), (3, 3));
}

#[test]
fn a_server_that_ignores_pages_is_not_believed() {
    let error = error(|number, _| Some([one(number), answers::done(number, None)].concat()));
    assert!(matches!(error, DirectoryError::Protocol { .. }), "{error}");
}

#[test]
fn more_entries_than_wanted_end_the_query() {
    let error =
        error(|number, _| Some([one(number), one(number), answers::done(number, Some(b"k"))].concat()));
    assert!(matches!(error, DirectoryError::TooMuch { what: "entries", max: 5, .. }), "{error}");
}

#[test]
fn answers_that_are_no_ldap_end_the_query() {
    for bytes in [
        b"HTTP/1.1 400 Bad Request\r\n".to_vec(),
        vec![0x30, 0x80, 0, 0],
        vec![0x30, 3, 2, 1, 1],
        vec![0x30, 0],
        answers::done(99, Some(b"")),
        answers::result(1, 0x61, 0, "", ""),
        answers::result(1, 0x6b, 0, "", ""),
    ] {
        let shown = format!("{bytes:x?}");
        let error = error(move |_, _| Some(bytes.clone()));
        assert!(matches!(error, DirectoryError::Protocol { .. }), "{shown}: {error}");
    }
    let error = error(|_, _| Some(vec![0x30, 0x84, 0x7f, 0xff, 0xff, 0xff]));
    assert!(matches!(error, DirectoryError::TooMuch { what: "bytes in one message", .. }), "{error}");
}

#[test]
fn silence_and_hanging_up_are_told_apart() {
    assert!(matches!(error(|_, _| Some(Vec::new())), DirectoryError::Late { what: "did not answer", .. }));
    assert!(matches!(error(|_, _| None), DirectoryError::Broken { .. }));
    let error = error(|_, _| Some(answers::notice("going down")));
    assert!(
        matches!(&error, DirectoryError::Disconnected { outcome, .. } if outcome.contains("going down")),
        "{error}"
    );
}

#[test]
fn a_whole_query_has_an_end() {
    let mut fake = fake(|number, _| {
        std::thread::sleep(Duration::from_millis(20));
        Some(answers::done(number, Some(b"on and on")))
    });
    fake.query.limits.whole_wait = Duration::from_millis(200);
    let error = ask(&fake.query).unwrap_err();
    assert!(matches!(error, DirectoryError::Late { what: "did not finish", .. }), "{error}");
}

#[test]
fn limits_and_refusals_of_the_server_are_told() {
    let result = |code: u32, matched: &'static str| {
        move |number: u32, _: &[u8]| {
            Some([one(number), answers::result(number, 0x65, code, matched, "says so")].concat())
        }
    };
    assert!(matches!(error(result(4, "")), DirectoryError::ServerLimit { code: 4, entries: 1, .. }));
    assert!(matches!(error(result(3, "")), DirectoryError::ServerLimit { code: 3, .. }));
    assert!(matches!(error(result(12, "")), DirectoryError::NoPages { .. }));
    assert!(matches!(error(result(50, "")), DirectoryError::Search { code: 50, .. }));
    let error = error(result(32, "dc=example"));
    assert!(error.to_string().contains("no entry `dc=x`; the nearest is `dc=example`"), "{error}");
}

#[test]
fn a_refused_bind_names_who_asked_and_not_the_password() {
    let mut fake = fake(|number, _| {
        Some(answers::result(
            number,
            0x61,
            49,
            "",
            "80090308: LdapErr: DSID-0C09, comment: x, data 52e, v3839",
        ))
    });
    let password = Secret::new("hunter2").unwrap();
    fake.query.bind = Some(Bind { dn: "cn=reader".to_owned(), password });
    let error = ask(&fake.query).unwrap_err();
    assert!(matches!(error, DirectoryError::Credentials { .. }));
    let text = format!("{error} {error:?} {:?}", fake.query);
    assert!(text.contains("`cn=reader`") && text.contains("the password is wrong"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn the_base_is_taken_from_the_root_when_none_is_given() {
    let root = |contexts: &'static [(&'static str, &'static [&'static [u8]])]| {
        let mut fake = fake(move |number, request| match number {
            1 => Some([answers::entry(1, "", contexts), answers::done(1, None)].concat()),
            _ => {
                assert!(request.windows(8).any(|part| part == b"dc=right"));
                Some(answers::done(number, Some(b"")))
            }
        });
        fake.query.base = None;
        ask(&fake.query)
    };
    let active =
        root(&[("defaultNamingContext", &[b"dc=right"]), ("namingContexts", &[b"dc=right", b"cn=schema"])]);
    assert_eq!(active.unwrap().base, "dc=right");
    assert_eq!(root(&[("namingContexts", &[b"dc=right"])]).unwrap().base, "dc=right");
    let error = root(&[("namingContexts", &[b"dc=a", b"dc=b"])]).unwrap_err();
    assert!(error.to_string().contains("dc=b"), "{error}");
}

#[test]
fn ranges_of_values_are_fetched_to_their_end() {
    let fake = fake(|number, request| match number {
        1 => {
            let attributes: &[(&str, &[&[u8]])] =
                &[("cn", &[b"a"]), ("netbootGUID;range=0-1", &[b"0", b"1"])];
            Some([answers::entry(1, "cn=a", attributes), answers::done(1, Some(b""))].concat())
        }
        2 => {
            assert!(request.windows(21).any(|part| part == b"netbootGUID;range=2-*"));
            let attributes: &[(&str, &[&[u8]])] = &[("netbootGUID;range=2-3", &[b"2", b"3"])];
            Some([answers::entry(2, "cn=a", attributes), answers::done(2, None)].concat())
        }
        _ => {
            let attributes: &[(&str, &[&[u8]])] = &[("netbootGUID;range=4-*", &[b"4"])];
            Some([answers::entry(number, "cn=a", attributes), answers::done(number, None)].concat())
        }
    });
    let answer = ask(&fake.query).unwrap();
    let values: Vec<&[u8]> = answer.entries[0]
        .attributes
        .iter()
        .filter(|(name, _)| name.starts_with("netbootGUID"))
        .map(|(_, value)| value.as_slice())
        .collect();
    assert_eq!(values, [b"0", b"1", b"2", b"3", b"4"]);
}

#[test]
fn words_in_front_of_tls_are_not_taken_for_the_directorys() {
    let mut fake = fake(|number, _| {
        Some([answers::result(number, 0x78, 0, "", ""), answers::result(2, 0x61, 0, "", "")].concat())
    });
    fake.query.security = Security::StartTls;
    let error = ask(&fake.query).unwrap_err();
    assert!(
        matches!(error, DirectoryError::Protocol { what: "words between StartTLS and TLS", .. }),
        "{error}"
    );
    let refuses = super::tests::fake(|number, _| Some(answers::result(number, 0x78, 2, "", "no TLS here")));
    let query = Query { security: Security::StartTls, ..refuses.query.clone() };
    assert!(matches!(ask(&query).unwrap_err(), DirectoryError::StartTls { .. }));
}

#[test]
fn nobody_there_is_told() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let query =
        Query { location: format!("ldap://127.0.0.1:{port}").parse().unwrap(), ..fake(|_, _| None).query };
    let error = ask(&query).unwrap_err();
    assert!(matches!(error, DirectoryError::Connect { .. }), "{error}");
    assert!(error.fix().contains("636"));
}
