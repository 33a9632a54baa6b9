//! What commands do, on a healthy writer.

mod common;

use common::{Postgres, Service};
use serde_json::{Value, json};

async fn start() -> (Postgres, Service) {
    let postgres = Postgres::start().await;
    let service = Service::start(&postgres.url()).await;
    service.until_ready().await;
    (postgres, service)
}

#[tokio::test]
async fn a_key_takes_effect_once() {
    let (postgres, service) = start().await;
    let first = service.open("k1").await;
    assert_eq!((first.status, first.replayed), (201, false), "{first:?}");
    assert_eq!((first.body["version"].as_i64(), first.body["epoch"].as_i64()), (Some(1), Some(0)));
    assert!(first.body["lsn"].as_str().is_some_and(|lsn| lsn.contains('/')));

    let again = service.open("k1").await;
    assert_eq!((again.status, again.replayed), (201, true));
    assert_eq!(again.body, first.body);

    let other = service.post("/cases", "k1", &json!({ "subject": "something else" })).await;
    assert_eq!(other.status, 422, "{other:?}");
    assert_eq!(postgres.count("SELECT count(*) FROM case_api.cases").await, 1);
    assert_eq!(postgres.count("SELECT count(*) FROM case_api.audit").await, 1);
}

#[tokio::test]
async fn concurrent_twins_take_effect_once() {
    let (postgres, service) = start().await;
    let twin = Service::start(&postgres.url()).await;
    for round in 0..10 {
        let key = format!("twin-{round}");
        let (a, b, c, d) = tokio::join!(service.open(&key), twin.open(&key), service.open(&key), twin.open(&key));
        let replies = [a, b, c, d];
        assert!(replies.iter().all(|reply| reply.status == 201 && reply.body == replies[0].body), "{replies:?}");
        assert_eq!(replies.iter().filter(|reply| !reply.replayed).count(), 1);
    }
    assert_eq!(postgres.count("SELECT count(*) FROM case_api.cases").await, 10);
}

#[tokio::test]
async fn transitions_check_version_and_state() {
    let (_postgres, service) = start().await;
    let id = service.open("open").await.id().to_owned();
    let path = format!("/cases/{id}/transition");
    let to = |state: &str, version: i64| json!({ "to": state, "expected_version": version });

    let stale = service.post(&path, "t0", &to("Closed", 2)).await;
    assert_eq!((stale.status, stale.body["version"].as_i64()), (409, Some(1)), "{stale:?}");
    let moved = service.post(&path, "t1", &to("Escalated", 1)).await;
    assert_eq!((moved.status, moved.body["version"].as_i64()), (200, Some(2)), "{moved:?}");
    let again = service.post(&path, "t1", &to("Escalated", 1)).await;
    assert!(again.replayed && again.body == moved.body, "the retry does not meet its own version: {again:?}");
    let stale = service.post(&path, "t2", &to("Closed", 1)).await;
    assert_eq!(stale.status, 409, "another command that raced is told");
    let invalid = service.post(&path, "t3", &to("Closed", 2)).await;
    assert_eq!(invalid.status, 422, "escalated cases stay so: {invalid:?}");
    let nowhere = service.post("/cases/1b4e28ba-2fa1-41d2-883f-0016d3cca427/transition", "t4", &to("Closed", 1)).await;
    assert_eq!(nowhere.status, 404, "{nowhere:?}");

    let case: Value = service.get(&format!("/cases/{id}")).await.json().await.unwrap();
    assert_eq!((case["state"].as_str(), case["ledger"]["client"].as_str()), (Some("Escalated"), Some("open")));
    let trail: Value = service.get(&format!("/cases/{id}/audit")).await.json().await.unwrap();
    let became: Vec<_> = trail["audit"].as_array().unwrap().iter().map(|entry| &entry["became"]).collect();
    assert_eq!(became, ["UnderReview", "Escalated"]);
    let list: Value = service.get("/cases?client=open").await.json().await.unwrap();
    assert_eq!(list["cases"], json!([case]));
}

#[tokio::test]
async fn the_audit_trail_is_append_only_even_for_its_owner() {
    let (postgres, service) = start().await;
    service.open("k").await;
    let (owner, connection) = tokio_postgres::connect(&postgres.url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    for sql in [
        "UPDATE case_api.audit SET became = 'Closed'",
        "DELETE FROM case_api.audit",
        "TRUNCATE case_api.audit",
        "INSERT INTO case_api.audit SELECT * FROM case_api.audit ON CONFLICT (id) DO UPDATE SET became = 'Closed'",
    ] {
        assert!(owner.batch_execute(sql).await.is_err(), "{sql}");
    }
    assert_eq!(postgres.count("SELECT count(*) FROM case_api.audit WHERE became = 'UnderReview'").await, 1);
}

#[tokio::test]
async fn rows_carry_the_writers_epoch() {
    let (postgres, service) = start().await;
    let admin = postgres.admin("cases").await;
    let before = service.open("before").await;
    assert_eq!(before.writer_epoch, Some(0));
    admin
        .batch_execute(
            "CREATE SCHEMA antipode; GRANT USAGE ON SCHEMA antipode TO app;
             CREATE TABLE antipode.epochs (number bigint, site text, timeline int, lsn pg_lsn, at timestamptz);
             GRANT SELECT ON antipode.epochs TO app;
             INSERT INTO antipode.epochs VALUES (3, 'a', 1, '0/0', now()), (7, 'b', 2, '0/0', now());",
        )
        .await
        .unwrap();
    let after = service.open("after").await;
    assert_eq!((after.body["epoch"].as_i64(), after.writer_epoch), (Some(7), Some(7)));
    let replay = service.open("before").await;
    assert_eq!((replay.body["epoch"].as_i64(), replay.writer_epoch), (Some(0), Some(7)), "row and answerer differ");
    assert_eq!(service.ready().await.1["epoch"].as_i64(), Some(7));
}

#[tokio::test]
async fn bad_requests_are_told_why() {
    let (_postgres, service) = start().await;
    let long = json!({ "subject": "x".repeat(201) }).to_string();
    let huge = json!({ "subject": "x".repeat(20_000) }).to_string();
    let good = json!({ "subject": "s" }).to_string();
    let id = service.open("k").await.id().to_owned();
    for (path, key, body, status) in [
        ("/cases", None, good.clone(), 400),
        ("/cases", Some(""), good.clone(), 400),
        ("/cases", Some("b1"), long, 422),
        ("/cases", Some("b2"), huge, 413),
        ("/cases", Some("b3"), "{".to_owned(), 422),
        ("/cases", Some("b4"), r#"{"subject":"s","sbject":"t"}"#.to_owned(), 422),
        ("/cases/7/transition", Some("b5"), r#"{"to":"Closed","expected_version":1}"#.to_owned(), 404),
        (&format!("/cases/{id}/transition"), Some("b6"), r#"{"to":"Opened","expected_version":1}"#.to_owned(), 422),
        ("/nowhere", Some("b7"), good, 404),
    ] {
        let reply = service.post_raw(path, key, body).await;
        assert_eq!(reply.status, status, "{path} {key:?}: {reply:?}");
        assert!(reply.body["error"].is_string(), "{reply:?}");
    }
}
