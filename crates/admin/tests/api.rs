//! The routes and the rules they share, over a real socket with the CLI's own client.
#![expect(clippy::unwrap_used, reason = "tests")]

mod rig;

use reveille_admin::client::Condition;
use reveille_admin::view::{HostView, ImageView, ImportView, StoreReport};
use reveille_admin::{ClientError, Problem};
use rig::{OWNER, Rig, start};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn problem<T: std::fmt::Debug>(result: Result<T, ClientError>) -> Problem {
    match result {
        Err(ClientError::Problem(problem)) => *problem,
        other => panic!("expected a problem: {other:?}"),
    }
}

/// Raw bytes in, raw answer out.
async fn raw(rig: &Rig, request: &str) -> String {
    let mut stream = tokio::net::UnixStream::connect(&rig.socket).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(rig::DEADLINE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

fn web01() -> Value {
    json!({"name": "web01", "match": {"mac": "52:54:00:12:34:56"}})
}

#[tokio::test]
async fn a_host_is_created_read_changed_and_removed_by_revision() {
    let rig = start();
    let created = rig.client.put::<HostView>("/hosts/web01", &web01(), &Condition::Create).await.unwrap();
    assert_eq!((created.status, created.etag.as_deref()), (201, Some("\"r11\"")));
    assert_eq!(created.body.managed_by, "api");
    for reference in ["web01", "mac:52:54:00:12:34:56", "mac:52-54-00-12-34-56"] {
        let read = rig.client.get::<HostView>(&format!("/hosts/{reference}")).await.unwrap();
        assert_eq!(read.body, created.body, "{reference}");
        assert_eq!(read.etag, created.etag);
    }
    // What was read can be written back as it is.
    let tag = Condition::Match(created.etag.unwrap());
    let mut body = serde_json::to_value(&created.body).unwrap();
    let same = rig.client.put::<HostView>("/hosts/web01", &body, &tag).await.unwrap();
    assert_eq!((same.status, same.etag.as_deref()), (200, Some("\"r11\"")));
    body["image"] = "debian".into();
    let changed = rig.client.put::<HostView>("/hosts/web01", &body, &tag).await.unwrap();
    assert_eq!(changed.etag.as_deref(), Some("\"r12\""));
    let stale = problem(rig.client.put::<HostView>("/hosts/web01", &body, &tag).await);
    assert_eq!((stale.status, stale.code.as_str(), stale.revision), (412, "R-RES-03", Some(12)));
    let gone = rig.client.delete::<Value>("/hosts/web01", &Condition::Match("\"r12\"".into())).await.unwrap();
    assert_eq!(gone.body["deleted"], "web01");
    let missing = problem(rig.client.get::<HostView>("/hosts/web01").await);
    assert_eq!((missing.status, missing.code.as_str()), (404, "R-RES-01"));
    assert_eq!(ClientError::Problem(Box::new(missing)).exit_code(), 5);
}

#[tokio::test]
async fn creating_twice_is_412_and_writing_without_a_revision_428() {
    let rig = start();
    rig.client.put::<HostView>("/hosts/web01", &web01(), &Condition::Create).await.unwrap();
    let again = problem(rig.client.put::<HostView>("/hosts/web01", &web01(), &Condition::Create).await);
    assert_eq!((again.status, again.code.as_str()), (412, "R-RES-05"));
    for result in [
        rig.client.put::<Value>("/hosts/web01", &web01(), &Condition::Nothing).await,
        rig.client.delete::<Value>("/hosts/web01", &Condition::Nothing).await,
        rig.client.delete::<Value>("/hosts/web01", &Condition::Create).await,
        rig.client.delete::<Value>("/images/debian", &Condition::Nothing).await,
    ] {
        let refused = problem(result);
        assert_eq!((refused.status, refused.code.as_str()), (428, "R-RES-04"));
    }
    for tag in ["r11", "\"x\"", "\"r11\", \"r12\"", "W/\"r11\""] {
        let refused =
            problem(rig.client.put::<Value>("/hosts/web01", &web01(), &Condition::Match(tag.into())).await);
        assert_eq!((refused.status, refused.code.as_str()), (400, "R-API-09"), "{tag}");
    }
    assert!(rig.client.put::<Value>("/hosts/web01", &web01(), &Condition::Present).await.is_ok());
    let absent = problem(
        rig.client
            .put::<Value>("/hosts/web02", &json!({"match": {"serial": "1"}}), &Condition::Present)
            .await,
    );
    assert_eq!(absent.status, 412);
}

#[tokio::test]
async fn what_a_file_owns_is_409_with_owner_and_fix() {
    let rig = start();
    let body = json!({"match": {"mac": "52:54:00:00:00:01"}, "image": "debian"});
    for result in [
        rig.client.put::<Value>("/hosts/web-file", &body, &Condition::Present).await,
        rig.client.put::<Value>("/hosts/web-file?dry_run=true", &body, &Condition::Present).await,
        rig.client.delete::<Value>("/hosts/web-file", &Condition::Present).await,
        rig.client.delete::<Value>("/images/rescue", &Condition::Present).await,
    ] {
        let refused = problem(result);
        assert_eq!((refused.status, refused.code.as_str()), (409, "R-RES-02"));
        assert_eq!(refused.kind, "/problems/owned-elsewhere");
        assert_eq!(refused.owner.as_deref(), Some(OWNER));
        assert!(
            refused.title.contains("/etc/reveille.yaml:17") && refused.fix.unwrap().starts_with("edit /etc/")
        );
    }
    assert!(rig.client.delete::<Value>("/images/debian", &Condition::Match("\"r5\"".into())).await.is_ok());
    assert_eq!(problem(rig.client.get::<ImageView>("/images/debian").await).status, 404);
}

#[tokio::test]
async fn dry_run_says_what_would_be_and_changes_nothing() {
    let rig = start();
    let tried =
        rig.client.put::<HostView>("/hosts/web01?dry_run=true", &web01(), &Condition::Create).await.unwrap();
    assert_eq!((tried.status, tried.body.revision), (200, 11));
    assert_eq!(problem(rig.client.get::<HostView>("/hosts/web01").await).status, 404);
    let tried = rig.client.delete::<Value>("/images/debian?dry_run", &Condition::Present).await.unwrap();
    assert_eq!(tried.body["dry_run"], true);
    assert!(rig.client.get::<ImageView>("/images/debian").await.is_ok());
}

#[tokio::test]
async fn wrong_bodies_name_each_fault() {
    let rig = start();
    let refused = problem(
        rig.client
            .put::<Value>("/hosts/web01", &json!({"name": "other", "match": {}}), &Condition::Create)
            .await,
    );
    assert_eq!((refused.status, refused.code.as_str()), (422, "R-RES-06"));
    let pointers: Vec<_> = refused.errors.iter().map(|error| error.pointer.as_str()).collect();
    assert_eq!(pointers, ["/name", "/match"]);
    let body = json!({"match": {"mac": ["52:54:00:12:34:56", "zz"], "uuid": "1"}});
    let refused = problem(rig.client.put::<Value>("/hosts/web01", &body, &Condition::Create).await);
    let pointers: Vec<_> = refused.errors.iter().map(|error| error.pointer.as_str()).collect();
    assert_eq!(pointers, ["/match/mac/1", "/match/uuid"]);
    assert!(refused.errors[0].detail.contains("MAC"), "{refused:?}");
    let body = json!({"match": {"serial": "1"}, "colour": "red"});
    let refused = problem(rig.client.put::<Value>("/hosts/web01", &body, &Condition::Create).await);
    assert!(refused.errors[0].detail.contains("colour"), "{refused:?}");
    let refused = problem(rig.client.put::<Value>("/hosts/web01", &json!([1]), &Condition::Create).await);
    assert_eq!((refused.status, refused.code.as_str()), (400, "R-API-03"));
    let refused =
        problem(rig.client.put::<Value>("/hosts/mac:52:54:00:00:00:01", &web01(), &Condition::Create).await);
    assert_eq!(refused.code, "R-API-12", "writes go by name");
    let head = "PUT /api/v1/hosts/web01 HTTP/1.1\r\nHost: a\r\nConnection: close\r\nIf-None-Match: *\r\n";
    let form = raw(&rig, &format!("{head}Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{{}}")).await;
    assert!(form.starts_with("HTTP/1.1 415 "), "{form}");
    let large = "x".repeat((1 << 20) + 1);
    let refused =
        problem(rig.client.put::<Value>("/hosts/web01", &json!({"name": large}), &Condition::Create).await);
    assert_eq!(refused.status, 413);
}

#[tokio::test]
async fn lists_come_in_pages_with_their_revision() {
    let rig = start();
    for number in 0..5 {
        let body = json!({"match": {"serial": format!("S{number}")}});
        rig.client.put::<Value>(&format!("/hosts/h{number}"), &body, &Condition::Create).await.unwrap();
    }
    let mut names = Vec::new();
    let mut path = "/hosts?limit=2".to_owned();
    loop {
        let page = rig.client.get::<Value>(&path).await.unwrap();
        assert_eq!((page.body["revision"].as_u64(), page.etag.as_deref()), (Some(15), Some("\"r15\"")));
        let items = page.body["items"].as_array().unwrap().clone();
        names.extend(items.iter().map(|item| item["name"].as_str().unwrap().to_owned()));
        match page.body["next"].as_str() {
            Some(next) => path = format!("/hosts?limit=2&after={next}"),
            None => break,
        }
    }
    assert_eq!(names, ["h0", "h1", "h2", "h3", "h4", "web-file"]);
    assert_eq!(problem(rig.client.get::<Value>("/hosts?limt=2").await).code, "R-API-02");
    for path in ["/leases", "/boots", "/images", "/imports"] {
        assert!(rig.client.get::<Value>(path).await.unwrap().body["items"].is_array(), "{path}");
    }
}

#[tokio::test]
async fn explain_takes_hosts_and_hypothetical_machines() {
    let rig = start();
    for reference in ["web-file", "mac:52:54:00:00:00:01", "serial:f1"] {
        let answer = rig.client.get::<Value>(&format!("/hosts/{reference}/explain")).await.unwrap();
        assert_eq!(answer.body["host"], "web-file");
    }
    let answer = rig.client.get::<Value>("/explain?mac=52:54:00:00:00:09&arch=uefi-x64").await.unwrap();
    assert_eq!(
        (&answer.body["boots"], &answer.body["facts"]["firmware"]),
        (&json!("menu"), &json!("uefi-x64"))
    );
    assert_eq!(problem(rig.client.get::<Value>("/explain?mac=zz").await).status, 400);
}

#[tokio::test]
async fn an_import_is_started_once_per_key_and_its_progress_read() {
    let rig = start();
    let started = rig
        .client
        .post::<ImportView>("/imports", &json!({"source": "/srv/debian", "name": "d12"}))
        .await
        .unwrap();
    assert_eq!(started.status, 202);
    let read = rig.client.get::<ImportView>(&format!("/imports/{}", started.body.id)).await.unwrap();
    assert_eq!(read.body, started.body);
    let body = r#"{"source":"/srv/x"}"#;
    let request = |body: &str| {
        format!(
            "POST /api/v1/imports HTTP/1.1\r\nHost: a\r\nConnection: close\r\nIdempotency-Key: k1\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let (first, second) = (raw(&rig, &request(body)).await, raw(&rig, &request(body)).await);
    assert!(first.starts_with("HTTP/1.1 202 ") && first.contains("location: /api/v1/imports/i2"), "{first}");
    assert_eq!(first.split("\r\n\r\n").nth(1), second.split("\r\n\r\n").nth(1));
    assert_eq!(rig.backend.imports_started(), 2);
    assert!(raw(&rig, &request(r#"{"source":"/srv/y"}"#)).await.starts_with("HTTP/1.1 422 "));
    let refused = problem(rig.client.post::<Value>("/imports", &json!({"sauce": "x"})).await);
    assert!(refused.cause.unwrap().contains("sauce"));
    rig.client.post::<Value>("/imports?dry_run=true", &json!({"source": "z"})).await.unwrap();
    assert_eq!(rig.backend.imports_started(), 2);
}

#[tokio::test]
async fn status_health_version_and_config_answer() {
    let rig = start();
    assert_eq!(rig.client.get::<Value>("/version").await.unwrap().body["api"], "v1");
    let health = rig.client.get::<Value>("/health").await.unwrap();
    assert_eq!((health.status, &health.body["ok"]), (503, &json!(false)));
    let status = rig.client.get::<Value>("/status").await.unwrap().body;
    assert_eq!((&status["uptime_secs"], &status["events"]["seq"]), (&json!(5), &json!(0)));
    assert_eq!(rig.client.get::<Value>("/config").await.unwrap().body["settings"][0]["origin"], "default");
}

#[tokio::test]
async fn unknown_routes_methods_and_own_failures_are_problems_too() {
    let rig = start();
    let answer = raw(&rig, "GET /api/v1/nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 404 ") && answer.contains("application/problem+json"), "{answer}");
    assert!(answer.contains("R-API-01") && answer.contains("x-content-type-options: nosniff"));
    let answer = raw(&rig, "PATCH /api/v1/hosts/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(
        answer.starts_with("HTTP/1.1 405 ") && answer.contains("allow: ") && answer.contains("R-API-04"),
        "{answer}"
    );
    for name in ["broken", "panics"] {
        let body = json!({"match": {"serial": "1"}});
        let failed =
            problem(rig.client.put::<Value>(&format!("/hosts/{name}"), &body, &Condition::Create).await);
        assert_eq!((failed.status, failed.code.as_str()), (500, "R-API-08"));
        assert!(!format!("{failed:?}").contains("fire"), "the cause is for the log");
    }
}

#[tokio::test]
async fn a_backup_comes_in_pieces_with_its_revision_records_and_length() {
    let rig = start();
    let mut pieces = rig.client.download("/store/backup").await.unwrap();
    assert_eq!((pieces.revision, pieces.records, pieces.bytes), (10, 3, Some(4_000_000)));
    let (mut bytes, mut count) = (Vec::new(), 0);
    while let Some(piece) = pieces.next().await.unwrap() {
        bytes.extend_from_slice(&piece);
        count += 1;
    }
    assert!(count > 1, "it does not come at once");
    let expected: Vec<u8> = (0..40u8).flat_map(|byte| vec![byte; 100_000]).collect();
    assert_eq!(bytes, expected);
}

#[tokio::test]
async fn a_dump_is_of_one_table_when_asked_and_verify_tells_what_it_found() {
    let rig = start();
    let mut all = rig.client.download("/store/dump?table=leases").await.unwrap();
    assert_eq!(all.next().await.unwrap().unwrap(), &b"{\"table\":Some(\"leases\")}\n"[..]);
    assert_eq!(all.next().await.unwrap(), None);
    let Err(refused) = rig.client.download("/store/dump?table=beds").await.map(drop) else { panic!() };
    assert_eq!(refused.exit_code(), 5);
    let Err(refused) = rig.client.download("/store/dump?tables=leases").await.map(drop) else { panic!() };
    assert_eq!(refused.exit_code(), 2);
    let report = rig.client.get::<StoreReport>("/store/verify").await.unwrap();
    assert_eq!((report.etag.as_deref(), report.body.ok), (Some("\"r10\""), false));
    assert_eq!(report.body.findings[0].fix, "look at the disk");
}

#[tokio::test]
async fn versions_are_rolled_back_tagged_and_pruned() {
    let rig = rig::start();
    let back: ImageView =
        rig.client.post("/images/debian/rollback", &json!({"to": "9f2c"})).await.unwrap().body;
    assert_eq!(back.version.as_deref(), Some("9f2c"));
    let none: ImageView = rig.client.post("/images/debian/rollback", &json!({})).await.unwrap().body;
    assert_eq!(none.version.as_deref(), Some("0123456789ab"));
    let path = "/images/debian/tags/stable";
    let tagged: ImageView =
        rig.client.put(path, &json!({"version": "9f2c"}), &Condition::Nothing).await.unwrap().body;
    assert_eq!(tagged.tags["stable"], "9f2c");
    let untagged = rig.client.delete::<ImageView>(path, &Condition::Nothing).await.unwrap().body;
    assert!(untagged.tags.is_empty());
    assert_eq!(
        problem(rig.client.delete::<Value>("/images/debian/tags/gone", &Condition::Nothing).await).status,
        404
    );
    let refused =
        rig.client.put::<Value>("/images/debian/tags/Bad_Tag", &json!({}), &Condition::Nothing).await;
    assert_eq!(problem(refused).code, "R-IMG-10");
    let asked = json!({"images": ["debian"], "keep": 2, "dry_run": true});
    let pruned: Value = rig.client.post("/images:prune", &asked).await.unwrap().body;
    assert_eq!(pruned, json!({"removed": ["debian@2"], "blobs": 1, "bytes": 2, "dry_run": true}));
    let nothing_left = rig.client.post::<Value>("/images:prune", &json!({"keep": 0})).await;
    assert_eq!(problem(nothing_left).status, 400);
    let used = rig.client.delete::<Value>("/images/used?force", &Condition::Present).await;
    assert_eq!(problem(used).status, 404, "it is asked with force, and is not there");
}

#[tokio::test]
async fn an_image_is_exported_whole_and_verified_line_by_line() {
    let rig = rig::start();
    let mut pieces = rig.client.download("/images/debian/export?version=stable").await.unwrap();
    let mut whole = Vec::new();
    while let Some(piece) = pieces.next().await.unwrap() {
        whole.extend_from_slice(&piece);
    }
    assert_eq!(whole, br#"debian@Some(Name("stable"))"#);
    assert_eq!(problem(rig.client.download("/images/gone/export").await.map(drop)).status, 404);
    let mut lines = rig.client.follow("/images:verify?image=debian,rescue").await.unwrap();
    let mut seen: Vec<Value> = Vec::new();
    while let Some(line) = lines.next().await.unwrap() {
        seen.push(serde_json::from_slice(&line).unwrap());
    }
    assert_eq!(seen[0]["finding"]["image"], "debian@9f2c00000000");
    assert_eq!(seen[1]["report"]["ok"], false);
    assert_eq!(problem(rig.client.follow("/images:verify?image=No_Name").await.map(drop)).status, 404);
}
